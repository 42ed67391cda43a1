"""The grammar of file ids. No other module knows it.

```
id      = scheme ":" bucket "/" key     s3:my-bucket/reports/q3.pdf   gs:media/cat.jpg
        | scheme ":" key                file:reports/q3.pdf           mem:cat.jpg
        | fastdfs                       group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin
```

An id without a scheme belongs to FastDFS. Only the FastDFS backend can check its form.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from async_storages.errors import InvalidArgumentException

if TYPE_CHECKING:
    from async_storages.fastdfs_ids import FastDFSDetails

__all__ = ["FASTDFS", "FileId", "known_schemes", "register_scheme"]

FASTDFS = "fastdfs"
"""The scheme name of ids that are written without one."""

_has_bucket: dict[str, bool] = {"s3": True, "gs": True, "file": False, "mem": False}

# RFC 3986 section 3.1; a colon after the first slash belongs to the key.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def register_scheme(scheme: str, *, has_bucket: bool) -> None:
    """Register a scheme for ids. A subclass of `Storage` with a `scheme` attribute does this itself.

    Args:
        scheme: Two or more lower-case letters, digits, ``+``, ``.`` or ``-``, beginning with a letter. A single letter
            would look like a Windows drive.
        has_bucket: True for ids of the form ``scheme:bucket/key``, False for ``scheme:key``.

    Raises:
        InvalidArgumentException: The scheme is malformed, or registered with the other form.
    """
    if not re.fullmatch(r"[a-z][a-z0-9+.-]+", scheme):
        raise InvalidArgumentException(
            f"{scheme!r} cannot be a scheme: use lower-case letters and digits, two at least",
            operation="register_scheme",
        )
    if scheme == FASTDFS or _has_bucket.setdefault(scheme, has_bucket) != has_bucket:
        raise InvalidArgumentException(
            f"the scheme {scheme!r} is taken, {'without' if has_bucket else 'with'} a bucket: choose another one",
            operation="register_scheme",
        )


def known_schemes() -> tuple[str, ...]:
    """Return the schemes that ids may begin with, sorted."""
    return tuple(sorted(_has_bucket))


@dataclass(frozen=True, slots=True)
class FileId:
    """A file id, split into scheme, bucket and key.

    Attributes:
        scheme: ``"s3"``, ``"gs"``, ``"file"``, ``"mem"``, ``"fastdfs"`` or a registered one.
        bucket: The bucket. None for schemes without buckets.
        key: The key. For FastDFS, the whole id.

    Example:
        >>> FileId.parse("s3:my-bucket/uploads/a.txt")
        FileId(scheme='s3', bucket='my-bucket', key='uploads/a.txt')
        >>> str(FileId("mem", None, "a.txt"))
        'mem:a.txt'
    """

    scheme: str
    bucket: str | None
    key: str

    @classmethod
    def parse(cls, text: str) -> "FileId":
        """Split a file id into its parts: the inverse of `str()`.

        Raises:
            InvalidArgumentException: The text is not a str, is empty, has an unknown scheme, lacks a bucket or key, or
                holds control characters or lone surrogates, which databases cannot store.
        """
        check_text(text)
        scheme = scheme_of(text)
        if scheme is None:
            return cls(FASTDFS, None, text)
        rest = text[len(scheme) + 1 :]
        if scheme not in _has_bucket:
            raise InvalidArgumentException(
                f"unknown scheme {scheme!r:.40}; known are {', '.join(known_schemes())}",
                operation="parse",
                file_id=text,
            )
        bucket, _slash, key = rest.partition("/") if _has_bucket[scheme] else (None, "", rest)
        if not key or bucket == "":
            shape = "scheme:bucket/key" if _has_bucket[scheme] else "scheme:key"
            raise InvalidArgumentException(f"not of the form {shape}", operation="parse", file_id=text)
        return cls(scheme, bucket, key)

    @property
    def details(self) -> "FastDFSDetails | None":
        """Size, CRC32, time and kind of a file, from an id of FastDFS. None for every other id."""
        from async_storages.fastdfs_ids import FastDFSDetails  # noqa: PLC0415 - few programs meet such ids

        return FastDFSDetails.parse(self.key) if self.scheme == FASTDFS else None

    def __str__(self) -> str:
        """Return the id as the database stores it."""
        if self.scheme == FASTDFS:
            return self.key
        if self.bucket is None:
            return f"{self.scheme}:{self.key}"
        return f"{self.scheme}:{self.bucket}/{self.key}"


def check_text(text: str) -> None:
    """Refuse a text that no id, key or bucket can be.

    Raises:
        InvalidArgumentException: The text is not a str, is empty, or holds control characters or lone surrogates. The
            message says which.
    """
    if not isinstance(text, str):
        raise InvalidArgumentException(f"a file id is a str, not {type(text).__name__}")
    if not text:
        raise InvalidArgumentException("a file id cannot be empty", file_id=text)
    if bad := _UNSTORABLE.search(text):
        raise InvalidArgumentException(f"a file id cannot hold the character U+{ord(bad[0]):04X}", file_id=text)


def is_fusion_id(text: str) -> bool:
    """Return True if `text` begins with a known scheme. Bare keys and FastDFS ids do not."""
    return scheme_of(text) in _has_bucket


def scheme_of(text: str) -> str | None:
    """Return the scheme at the beginning of `text`, even an unknown one. None for bare keys and FastDFS ids."""
    found = _SCHEME.match(text)
    return found[1] if found else None
