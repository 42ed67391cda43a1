"""The interface of part uploads: a browser or another service sends the parts to presigned URLs. No I/O here."""

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from async_storages.errors import FileTooLargeException, InvalidArgumentException
from async_storages.ids import FileId
from async_storages.size_limits import check_size
from async_storages.storage.base import FileName

__all__ = [
    "MAX_PARTS",
    "PartUploads",
    "StoredPart",
    "SupportsPartUploads",
    "check_number",
    "check_part_size",
    "chosen_parts",
    "largest_part",
]

MAX_PARTS = 10_000
"""The largest number of parts that S3 accepts."""

_SMALLEST = 5 << 20


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part that has arrived.

    Attributes:
        number: 1 to 10,000.
        size: Bytes.
        etag: The ETag, without quotes.
    """

    number: int
    size: int
    etag: str


class PartUploads(Protocol):
    """Begins and completes part uploads to one storage, and presigns the URLs for their parts."""

    async def begin(self, name: FileName, *, content_type: str) -> str:
        """Begin an upload to an exact key, and return the id of the upload. Complete it or abort it later."""
        ...

    async def presign_part(
        self,
        name: FileName,
        upload_id: str,
        number: int,
        expires_in: float = 3600,
        *,
        size: int | None = None,
        max_size: int | None = None,
    ) -> str:
        """Return a presigned URL to which a client sends one part with PUT.

        Args:
            name: The key.
            upload_id: The id from `begin`.
            number: The number of the part, 1 to 10,000.
            expires_in: Seconds from now, 1 to 604,800.
            size: The only size in bytes that the client may send. The URL's signature covers it.
            max_size: The largest size in bytes, if `size` is unknown.

        Raises:
            InvalidArgumentException: `max_size` is given without `size`, and the server cannot limit a size. S3
                cannot.
            FileTooLargeException: `size` is above `max_size`.
        """
        ...

    async def parts(self, name: FileName, upload_id: str) -> list[StoredPart]:
        """Return the parts that have arrived, by number. Raises FileNotFoundException if the upload does not exist."""
        ...

    async def complete(self, name: FileName, upload_id: str, etags: Mapping[int, str], *, max_size: int | None) -> None:
        """Join the parts with these ETags into one file. Raises FileNotFoundException if the upload is gone."""
        ...

    async def abort(self, name: FileName, upload_id: str) -> None:
        """Abort an upload and delete its parts. It is not an error if the upload does not exist."""
        ...

    async def unfinished(self, prefix: str) -> builtins.list[tuple[FileId, str]]:
        """Return the file id and the upload id of each unfinished upload whose key begins with `prefix`.

        If there are more than a thousand, the result may hold only the first thousand.
        """
        ...


@runtime_checkable
class SupportsPartUploads(Protocol):
    """Part uploads: any client that has the presigned URLs sends the parts of a file one by one."""

    @property
    def part_uploads(self) -> PartUploads:
        """The part uploads of this storage."""
        ...


def check_part_size(size: int | None, max_size: int | None) -> None:
    """Refuse a part that is larger than the file may still be. Raises FileTooLargeException."""
    if size is not None and max_size is not None and size > max_size:
        raise FileTooLargeException(f"a part of {size} bytes is more than the {max_size} that are left to it")


def largest_part(number: int, max_file_size: int) -> int:
    """Return the largest size in bytes of a part, if each part before it has at least 5 MiB.

    A result of 0 or less means that the file cannot have this part.
    """
    return max_file_size - (number - 1) * _SMALLEST


def check_number(number: object) -> int:
    """Return a part's number if it is 1 to 10,000. Otherwise raise InvalidArgumentException."""
    if not isinstance(number, int) or not 1 <= number <= MAX_PARTS:
        raise InvalidArgumentException(f"parts are numbered from 1 to {MAX_PARTS}, not {number!r}")
    return number


def chosen_parts(there: Iterable[StoredPart], etags: Mapping[int, str], max_size: int | None) -> list[StoredPart]:
    """Return the parts of a file, in order.

    Args:
        there: All parts that the storage has.
        etags: The ETag of each part by its number. The server sent it to the client that uploaded the part.
        max_size: The largest size of the file in bytes. None for no limit.

    Raises:
        InvalidArgumentException: The storage lacks one of these parts, or a part before the last is below 5 MiB.
        FileTooLargeException: The file would be larger than `max_size`.
    """
    found = {part.number: part for part in there}
    parts = [found[number] for number in sorted(etags) if number in found]
    if not parts or len(parts) < len(etags) or any(part.etag != etags[part.number].strip('"') for part in parts):
        raise InvalidArgumentException(
            "a part has not arrived, or not as it was sent: send it again, and complete with the new ETag"
        )
    if small := [part for part in parts[:-1] if part.size < _SMALLEST]:
        raise InvalidArgumentException(
            f"part {small[0].number} has {small[0].size} bytes: each part but the last has at least 5 MiB"
        )
    size = sum(part.size for part in parts)
    check_size(size, max_size)
    return parts
