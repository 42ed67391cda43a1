"""Halving: work for many items at once, which no item spoils for the others."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.exc import DBAPIError

__all__ = ["do_together"]


async def do_together[Item, Result](
    work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], items: Sequence[Item]
) -> list[Result | Exception]:
    """Do the work for all items in one call. If it fails, do it for each half, down to single items.

    Args:
        work: The function. It returns a result for each item, in their order. A call that fails has no effect.
        items: The items.

    Returns:
        For each item its result, or the exception that the work raised for this item alone.

    Raises:
        DBAPIError: The connection to the database is lost, so the halves would fail too.

    Example:
        >>> async def invert_all(numbers):
        ...     return [1 / number for number in numbers]
        >>> await do_together(invert_all, [2, 0, 4])
        [0.5, ZeroDivisionError('division by zero'), 0.25]
    """
    if not items:
        return []
    try:
        return list(await work(items))
    except Exception as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        if len(items) == 1:
            return [error]
    middle = len(items) // 2
    return [*await do_together(work, items[:middle]), *await do_together(work, items[middle:])]
