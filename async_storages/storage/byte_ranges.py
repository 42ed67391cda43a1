"""The range of a file that `Storage.stream` yields."""

from async_storages.errors import InvalidArgumentException

__all__ = ["byte_range"]


def byte_range(size: int, offset: int, length: int | None, chunk_size: int) -> range:
    """Return the positions at which `stream` reads a file of `size` bytes, as ``range(start, stop, chunk_size)``.

    Args:
        size: The size of the file in bytes.
        offset: The position of the first byte. A negative offset counts from the end.
        length: The largest number of bytes. None for all.
        chunk_size: Bytes, at least 1.

    Raises:
        InvalidArgumentException: `length` is negative, or `chunk_size` is below 1.
    """
    if chunk_size < 1 or (length is not None and length < 0):
        raise InvalidArgumentException(
            f"a stream cannot have length {length} or chunk size {chunk_size}: give a length from 0 on, or None, and a "
            "chunk size from 1 on"
        )
    start = max(0, size + offset) if offset < 0 else min(offset, size)
    stop = size if length is None else min(size, start + length)
    return range(start, stop, chunk_size)
