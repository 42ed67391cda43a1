"""Uploads in parts that somebody else sends, by presigned URLs: a browser, another service. No I/O."""

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
"""The most that S3 takes."""

_SMALLEST = 5 << 20


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part; the ETag without quotes."""

    number: int
    size: int
    etag: str


class PartUploads(Protocol):
    """Begins and completes uploads to one storage, and presigns what comes between."""

    async def begin(self, name: FileName, *, content_type: str) -> str:
        """Begin an upload to an exact key; returns its id. Complete or abort it."""
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
        """A URL to which one part is sent with PUT.

        Args:
            name: The key.
            upload_id: From `begin`.
            number: 1 to 10,000.
            expires_in: Seconds from now, 1 to 604,800.
            size: The only size in bytes that the part may have; it is signed.
            max_size: The largest one, in bytes, where `size` is not known.

        Raises:
            InvalidArgumentException: The server can sign no `max_size`, as S3 cannot, and no `size` is said.
            FileTooLargeException: `size` is above `max_size`.
        """
        ...

    async def parts(self, name: FileName, upload_id: str) -> list[StoredPart]:
        """The parts that have arrived, by number; raises FileNotFoundException if there is no such upload."""
        ...

    async def complete(self, name: FileName, upload_id: str, etags: Mapping[int, str], *, max_size: int | None) -> None:
        """Put parts together: see `chosen_parts`; raises FileNotFoundException if there is no such upload any more."""
        ...

    async def abort(self, name: FileName, upload_id: str) -> None:
        """Give an upload up and free its parts; one that is gone is no error."""
        ...

    async def unfinished(self, prefix: str) -> builtins.list[tuple[FileId, str]]:
        """File and id of uploads under way to keys that begin with `prefix`, the first thousand at the least."""
        ...


@runtime_checkable
class SupportsPartUploads(Protocol):
    """Taking a file in parts, which whoever holds their URLs sends one by one."""

    @property
    def part_uploads(self) -> PartUploads:
        """Uploads in parts to this storage."""
        ...


def check_part_size(size: int | None, max_size: int | None) -> None:
    """Refuse a part that could be of no use."""
    if size is not None and max_size is not None and size > max_size:
        raise FileTooLargeException(f"a part of {size} bytes is more than the {max_size} that are left to it")


def largest_part(number: int, max_file_size: int) -> int:
    """Bytes that a part may have, where each before it has 5 MiB at least; below 0 there can be no such part."""
    return max_file_size - (number - 1) * _SMALLEST


def check_number(number: object) -> int:
    """Refuse a number that no part can have, and return all others."""
    if not isinstance(number, int) or not 1 <= number <= MAX_PARTS:
        raise InvalidArgumentException(f"parts are numbered from 1 to {MAX_PARTS}, not {number!r}")
    return number


def chosen_parts(there: Iterable[StoredPart], etags: Mapping[int, str], max_size: int | None) -> list[StoredPart]:
    """The parts that a file is to be made of, in order.

    Args:
        there: All that the storage has.
        etags: Of each part by its number, as the one who sent it was answered.
        max_size: Bytes that the file may have.

    Raises:
        InvalidArgumentException: The storage does not have these parts, or one before the last is below 5 MiB.
        FileTooLargeException: The file would be larger.
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
