"""The source of a copy that the server makes: one version of an object."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from async_storages.backends.buckets.server_errors import FileChanged
from async_storages.backends.s3.sigv4 import encode_path
from async_storages.errors import FileExistsException
from async_storages.upload_options import CustomerKey

__all__ = ["CopySource", "source_unchanged"]


@dataclass(frozen=True, slots=True)
class CopySource:
    """One version of an object to copy.

    Attributes:
        bucket: The bucket.
        key: The key.
        etag: The ETag of the version, in quotes. None is the latest version.
        customer_key: The customer's key that encrypts it. None for the server's key.
    """

    bucket: str
    key: str
    etag: str | None
    customer_key: CustomerKey | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers that name the source in a request."""
        pinned = {"x-amz-copy-source-if-match": self.etag} if self.etag else {}
        return {"x-amz-copy-source": f"{encode_path(self.bucket)}/{encode_path(self.key)}", **pinned}


@contextmanager
def source_unchanged(*, is_certain: bool) -> Iterator[None]:
    """Translate a failed precondition. `is_certain` is True if only the source's precondition was set."""
    try:
        yield
    except FileExistsException as error:
        if is_certain:
            raise FileChanged("the file was replaced while it was copied") from error
        raise
