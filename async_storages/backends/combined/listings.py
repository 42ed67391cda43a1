"""Reading two sorted listings together, without holding them in memory."""

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Any

from async_storages.models import FileBasicInfo

__all__ = ["paired"]


async def paired(
    first: AsyncIterable[FileBasicInfo], second: AsyncIterable[FileBasicInfo]
) -> AsyncGenerator[tuple[FileBasicInfo | None, FileBasicInfo | None]]:
    """Yield pairs of the same key from two sorted listings. A side without the file is None.

    If a server lists out of order, a file of both may come twice, each time with one None.
    """
    async with aclosing(_generated(first)) as ours, aclosing(_generated(second)) as theirs:
        one, other = await anext(ours, None), await anext(theirs, None)
        while one is not None or other is not None:
            if other is None or (one is not None and one.file_id < other.file_id):
                yield one, None
                one = await anext(ours, None)
            elif one is None or other.file_id < one.file_id:
                yield None, other
                other = await anext(theirs, None)
            else:
                yield one, other
                one, other = await anext(ours, None), await anext(theirs, None)


async def _generated(listing: AsyncIterable[FileBasicInfo]) -> AsyncGenerator[FileBasicInfo]:
    """Yield the listing. Closing the generator also closes the listing."""
    iterator: Any = aiter(listing)
    try:
        async for info in iterator:
            yield info
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
