"""Bytes that are sent as they come: their source is let go of at once, however the answer ends."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from async_storages._tasks import wait_out
from async_storages.errors import StorageOperationException
from async_storages.serving.asgi import Message, Receive, Send

__all__ = ["send_stream"]


async def send_stream(
    start: Message, chunks: AsyncGenerator[bytes], receive: Receive, send: Send, *, length: int | None = None
) -> None:
    """Send an answer whose body comes from a generator, until its end or until the client has gone.

    Args:
        start: The message ``http.response.start``; sent when the first chunk is there.
        chunks: The body; closed before this returns or raises.
        receive: As ASGI gives it.
        send: As ASGI gives it.
        length: The bytes that must come, if that was promised.

    Raises:
        StorageOperationException: More or fewer came.
        Exception: Whatever `chunks` raises.
    """
    tasks = [asyncio.create_task(each) for each in (_send(start, chunks, send, length), _until_gone(receive))]
    ended = asyncio.gather(*tasks, return_exceptions=True)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        if (cancelled := await wait_out(ended)) is not None:
            raise cancelled
    for outcome in ended.result():
        if isinstance(outcome, Exception):  # no cancellation: that is ours
            raise outcome


class _ClientGoneError(Exception):
    """The server has said that the client is gone."""


async def _send(start: Message, chunks: AsyncGenerator[bytes], send: Send, length: int | None) -> None:
    with suppress(_ClientGoneError):
        async with aclosing(chunks):
            chunk = await anext(chunks, b"")
            passed = len(chunk)
            await _put(send, start)
            async for following in chunks:
                passed += len(following)
                if length is not None and passed > length:
                    break
                await _put(send, _body(chunk, more=True))
                chunk = following
            if length is not None and passed != length:
                raise StorageOperationException(f"what came is not the {length} bytes that were promised")
            await _put(send, _body(chunk))


async def _put(send: Send, message: Message) -> None:
    """Send a message; some servers raise OSError when the client has gone, others ignore what is sent to it."""
    try:
        await send(message)
    except OSError as error:
        raise _ClientGoneError from error


def _body(chunk: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
