"""Two sorted listings at once, without holding them."""

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Any

from async_storages.models import FileBasicInfo

__all__ = ["paired"]


async def paired(
    first: AsyncIterable[FileBasicInfo], second: AsyncIterable[FileBasicInfo]
) -> AsyncGenerator[tuple[FileBasicInfo | None, FileBasicInfo | None]]:
    """The files of two listings, sorted by key: each once, as the one and the other tell of it, None for not at all.

    If a server does not keep to the order of keys, a file of both may come twice, each time with one None.
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
    """The listing, closed with the generator also where it is one of its own."""
    iterator: Any = aiter(listing)
    try:
        async for info in iterator:
            yield info
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
