"""The part of a file that `Storage.stream` is to give."""

from async_storages.errors import InvalidArgumentException

__all__ = ["byte_range"]


def byte_range(size: int, offset: int, length: int | None, chunk_size: int) -> range:
    """The positions of a file of `size` bytes that `stream` is to give, as ``range(start, stop, chunk_size)``."""
    if chunk_size < 1 or (length is not None and length < 0):
        raise InvalidArgumentException(
            f"a stream cannot have length {length} or chunk size {chunk_size}: give a length from 0 on, or None, and a "
            "chunk size from 1 on"
        )
    start = max(0, size + offset) if offset < 0 else min(offset, size)
    stop = size if length is None else min(size, start + length)
    return range(start, stop, chunk_size)
