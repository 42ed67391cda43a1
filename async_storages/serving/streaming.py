"""Streaming a response from a generator. The generator is closed as soon as the response ends, for any reason."""

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
    """Send a response with the body from a generator, until its end or until the client disconnects.

    Args:
        start: The message ``http.response.start``. It is sent when the first chunk has arrived.
        chunks: The body. It is closed before the function returns or raises.
        receive: The callable from ASGI.
        send: The callable from ASGI.
        length: The promised number of bytes. None if the response has no Content-Length.

    Raises:
        StorageOperationException: The generator yields more or fewer bytes than `length`.
        Exception: Any error that `chunks` raises.
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
    """The server has reported that the client has disconnected."""


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
    """Send a message. After a disconnect, some servers raise OSError, and others ignore the message."""
    try:
        await send(message)
    except OSError as error:
        raise _ClientGoneError from error


def _body(chunk: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
