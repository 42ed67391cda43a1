"""The limit of a file's size, which is the same rule before the upload, while it streams, and for its parts."""

from async_storages.errors import FileTooLargeException

__all__ = ["check_size"]


def check_size(size: int, max_size: int | None) -> None:
    """Refuse a file that is too large.

    Args:
        size: Its bytes, or those that have come so far.
        max_size: The limit in bytes; None for none.

    Raises:
        FileTooLargeException: It is above the limit; HTTP answers 413.
    """
    if max_size is not None and size > max_size:
        raise FileTooLargeException(f"larger than the {max_size} bytes allowed")
