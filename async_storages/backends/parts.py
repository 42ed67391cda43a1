"""Parts of an upload that is not complete, as a storage holds them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from async_storages.errors import FileTooLargeException, InvalidArgumentException

__all__ = ["MAX_PARTS", "StoredPart", "check_number", "chosen_parts"]

MAX_PARTS = 10_000
"""The most that S3 takes."""

_SMALLEST = 5 << 20


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part; the ETag without quotes."""

    number: int
    size: int
    etag: str


def check_number(number: int) -> int:
    """The number of a part, if there can be such a part."""
    if not 1 <= number <= MAX_PARTS:
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
        raise InvalidArgumentException("a part has not arrived, or not as it was sent")
    if any(part.size < _SMALLEST for part in parts[:-1]):
        raise InvalidArgumentException("each part but the last has at least 5 MiB")
    size = sum(part.size for part in parts)
    if max_size is not None and size > max_size:
        raise FileTooLargeException(f"{size} bytes are more than the {max_size} allowed")
    return parts
