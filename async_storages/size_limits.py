"""The limit of a file's size. The same rule applies before an upload, while it streams, and for its parts."""

from async_storages.errors import FileTooLargeException

__all__ = ["check_size"]


def check_size(size: int, max_size: int | None) -> None:
    """Refuse a file that is too large.

    Args:
        size: The size in bytes, or the number of bytes that have arrived so far.
        max_size: The limit in bytes. None for no limit.

    Raises:
        FileTooLargeException: The size is above the limit. HTTP answers 413.
    """
    if max_size is not None and size > max_size:
        raise FileTooLargeException(f"larger than the {max_size} bytes allowed")
