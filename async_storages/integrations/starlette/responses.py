"""Starlette's responses for stored files, streams and archives."""

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
    """Answers GET and HEAD with a stored file: it redirects to a presigned URL, or sends the file itself.

    When it sends the file itself, it supports one range (206, 416), conditions (304, 412) and HEAD, as in RFC 9110. It
    closes the stream from the storage as soon as the client disconnects. If the file is missing, or fails before its
    first byte, it raises an error for `register_exception_handlers`. A later failure closes the connection.

    Args:
        file: The file. None, from an empty column, counts as a missing file.
        headers: Further headers. In a proxied response they replace the library's headers of the same name.
        background: A task that runs after the response, even if the client has disconnected.
        **options: The file name, content type, way of delivery and more: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option is wrong.
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
    """Starlette's `StreamingResponse` for an async generator. It closes the generator as soon as the response ends.

    When a client disconnects, Starlette 1.10 leaves the generator, with its connection to the storage, to the garbage
    collector. This class closes it at once, even while it waits for the storage or the client.

    The application's exception handlers answer a failure before the first chunk. A later failure closes the connection.
    The last chunk is sent only after the generator has ended without error, so no client mistakes a partial response
    for a complete one.

    Args:
        content: The bytes.
        status_code: The status.
        headers: Further headers. With Content-Length, another number of bytes is an error.
        media_type: The content type.
        background: A task that runs after the response, even if the client has disconnected.
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
    """Sends a ZIP archive while it makes it. The response has a Content-Length if the size is known.

    Args:
        archive: The archive from `DownloadService.prepare_zip`.
        filename: The file name that the user sees, untrusted.
        background: A task that runs after the response, even if the client has disconnected.

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
