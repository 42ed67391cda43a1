"""Sending bytes as they come: what they come from is let go of at once, however the answer ends."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from async_storages._tasks import wait_out
from async_storages.errors import StorageOperationException
from async_storages.manager.services import ZipDownload
from async_storages.naming import content_disposition

__all__ = ["ClosingStreamingResponse", "ZipResponse", "send_stream"]


class ClosingStreamingResponse(StreamingResponse):
    """Starlette's `StreamingResponse` for an async generator, which is closed as soon as the answer has ended.

    When a client goes, Starlette 1.10 leaves the generator, and with it a storage's connection, to the garbage
    collector. This one closes it at once, whether it waits for the storage or for the client.

    What fails before the first chunk is answered by the application's exception handlers; what fails later ends the
    connection, so that no client takes the answer for whole: its last chunk is sent only when all is well.

    Args:
        content: The bytes.
        status_code: The status.
        headers: Further headers; with Content-Length another number of bytes is an error.
        media_type: The Content-Type.
        background: Runs afterwards, also when the client has gone.
    """

    def __init__(
        self,
        content: AsyncGenerator[bytes],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(content, status_code, headers, media_type, background)
        self._chunks = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        length = self.headers.get("content-length")
        await send_stream(start, self._chunks, receive, send, length=None if length is None else int(length))
        if self.background is not None:
            await self.background()


class ZipResponse(ClosingStreamingResponse):
    """An archive that is made while it is sent, with its name, and its length where that is known.

    Args:
        archive: See `DownloadService.prepare_zip`.
        filename: The name for people, untrusted.
        background: Runs afterwards, also when the client has gone.

    Example:
        >>> @app.post("/photos/zip", response_class=Response, responses=file_responses("application/zip"))
        ... async def download(wanted: list[FileDownload], downloads: DownloadServiceDep) -> ZipResponse:
        ...     return ZipResponse(await downloads.prepare_zip(wanted), "photos.zip")
    """

    media_type = "application/zip"

    def __init__(
        self, archive: ZipDownload, filename: str = "files.zip", background: BackgroundTask | None = None
    ) -> None:
        length = {} if archive.size is None else {"content-length": str(archive.size)}
        headers = {"content-disposition": content_disposition(filename), **length}
        super().__init__(archive.stream(), headers=headers, background=background)


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


async def _send(start: Message, chunks: AsyncGenerator[bytes], send: Send, length: int | None) -> None:
    with suppress(ClientDisconnect):
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
        raise ClientDisconnect from error


def _body(chunk: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
