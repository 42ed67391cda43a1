"""Many who create one file."""

import asyncio

from async_storages.errors import FileExistsException
from async_storages.testing.faults import Reset, request_body, response_header


async def check_that_one_succeeds(behind, proxy, is_upload):
    """Of uploads with `overwrite=False`, though answers are lost; it is the one that is stored."""
    proxy.inject(Reset(), response_header(), times=5, when=is_upload)
    proxy.inject(Reset(), request_body("middle"), times=5, when=is_upload)
    contents = [bytes([n]) * 1000 for n in range(20)]
    outcomes = await asyncio.gather(
        *(behind.upload(content, "new", overwrite=False) for content in contents), return_exceptions=True
    )
    [winner] = [content for content, outcome in zip(contents, outcomes, strict=True) if outcome == "new"]
    assert {type(outcome) for outcome in outcomes if outcome != "new"} == {FileExistsException}
    assert await behind.read("new") == winner
