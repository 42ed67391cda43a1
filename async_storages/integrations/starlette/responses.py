"""Starlette's answers that give stored files and other bytes as they come."""

from collections.abc import AsyncGenerator, Mapping
from typing import Unpack

from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from async_storages.content_disposition import content_disposition
from async_storages.files import StoredFile
from async_storages.manager.services import ZipDownload
from async_storages.serving.stored_file import DeliveryOptions, FileDelivery
from async_storages.serving.streaming import send_stream

__all__ = ["ClosingStreamingResponse", "StoredFileResponse", "ZipResponse"]


class StoredFileResponse(Response):
    """Answers GET and HEAD with a stored file: by a redirect to a presigned URL, or through the application.

    Through the application it serves one range (206, 416), conditions (304, 412) and HEAD as RFC 9110 has them, and
    lets go of the storage as soon as the client has gone. A file that is missing, or fails before its first byte, is
    an error that `register_exception_handlers` answers; what fails later ends the connection.

    Args:
        file: The file; None, of an empty column, is answered like a missing file.
        headers: Further headers; through the application they take the place of the same ones of ours.
        background: Runs afterwards, also when the client has gone.
        **options: The name, type and way of delivery, and more: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option that cannot be.
        FileNotFoundException: The file is None.

    Example:
        >>> async def download(request: Request) -> StoredFileResponse:
        ...     document = await find_document(request.path_params["number"])
        ...     return StoredFileResponse(document and document.file, filename="report.pdf")  # None is a 404
    """

    def __init__(
        self,
        file: StoredFile | None,
        *,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        **options: Unpack[DeliveryOptions],
    ) -> None:
        self._delivery = FileDelivery(file, **options)
        self.status_code = 200
        self.background = background
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        await self._delivery.send(self.raw_headers, scope, receive, send)
        if self.background is not None:
            await self.background()


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
        >>> async def download(request: Request) -> ZipResponse:
        ...     wanted = [FileDownload(file_id=photo.file_id) for photo in await photos_of(request)]
        ...     return ZipResponse(await manager.download_service.prepare_zip(wanted), "photos.zip")
    """

    media_type = "application/zip"

    def __init__(
        self, archive: ZipDownload, filename: str = "files.zip", background: BackgroundTask | None = None
    ) -> None:
        length = {} if archive.size is None else {"content-length": str(archive.size)}
        headers = {"content-disposition": content_disposition(filename), **length}
        super().__init__(archive.stream(), headers=headers, background=background)
