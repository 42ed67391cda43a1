"""Sizes of the parts of a multipart upload, within the limits of S3: 10,000 parts of 5 GiB."""

from collections.abc import Iterator
from itertools import repeat

from async_storages.backends.buckets.part_splitter import PART_SIZE
from async_storages.errors import FileTooLargeException
from async_storages.storage.part_uploads import MAX_PARTS

__all__ = ["part_sizes"]

_LARGEST_PART = 5 << 30


def part_sizes(size: int | None, max_size: int | None = None, part_size: int = PART_SIZE) -> Iterator[int]:
    """Return the size of each part of an upload in bytes: all equal, as R2 demands, and whole MiB.

    Args:
        size: The size of the content in bytes. None while unknown.
        max_size: The largest size of content of unknown size, in bytes. None is `MAX_PARTS` of `part_size`, 78 GiB by
            default.
        part_size: The size of a part in bytes. Parts become larger if there would be too many.

    Raises:
        FileTooLargeException: The content exceeds `MAX_PARTS` of 5 GiB. Raised at once if the size is known, otherwise
            with the last part.
    """
    largest = max_size if size is None else size
    alike = part_size if largest is None else max(part_size, -(-largest // (MAX_PARTS << 20)) << 20)
    if alike <= _LARGEST_PART and size is not None:
        return repeat(alike)
    if size is not None:
        raise FileTooLargeException(f"larger than the {MAX_PARTS} parts of 5 GiB that S3 stores")
    return _limited(min(alike, _LARGEST_PART))


def _limited(part_size: int) -> Iterator[int]:
    """Yield the sizes of as many parts as there may be. Raise for more."""
    yield from repeat(part_size, MAX_PARTS)
    raise FileTooLargeException(
        f"more than {MAX_PARTS} parts of {part_size} bytes came, the limit of an upload of unknown size: "
        "give its size, or a max_size from which the parts are made larger"
    )
