"""Litestar's responses for stored files."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Unpack, cast

from litestar import Request, Response
from litestar.background_tasks import BackgroundTask, BackgroundTasks
from litestar.datastructures import Cookie
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from async_storages.files import StoredFile
from async_storages.serving.stored_file import DeliveryOptions, FileDelivery

if TYPE_CHECKING:
    from async_storages.serving import asgi

__all__ = ["StoredFileResponse"]


class StoredFileResponse(Response[bytes]):
    """Answers GET and HEAD with a stored file: it redirects to a presigned URL, or sends the file itself.

    When it sends the file itself, it supports one range (206, 416), conditions (304, 412) and HEAD, as in RFC 9110. It
    closes the stream from the storage as soon as the client disconnects. If the file is missing, or fails before its
    first byte, it raises an error for `exception_handlers`. A later failure closes the connection.

    Args:
        file: The file. None, from an empty column, counts as a missing file.
        headers: Further headers. In a proxied response they replace the library's headers of the same name.
        background: A task that runs after the response, even if the client has disconnected.
        **options: The file name, content type, way of delivery and more: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option is wrong.
        FileNotFoundException: The file is None.

    Example:
        >>> from litestar import route
        >>> from sqlalchemy.ext.asyncio import AsyncSession
        >>> @route("/documents/{number:int}/file", http_method=["GET", "HEAD"])
        ... async def download(number: int, session: AsyncSession) -> StoredFileResponse:
        ...     document = await session.get(Document, number)
        ...     return StoredFileResponse(document and document.file)  # None is a 404
    """

    def __init__(
        self,
        file: StoredFile | None,
        *,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
        **options: Unpack[DeliveryOptions],
    ) -> None:
        super().__init__(b"", headers=headers, background=background)
        self._delivery = FileDelivery(file, **options)

    def to_asgi_response(
        self,
        app: Any,
        request: Request[Any, Any, Any],
        *,
        background: BackgroundTask | BackgroundTasks | None = None,
        cookies: Iterable[Cookie] | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> ASGIResponse:
        """Return the response with the headers, cookies and tasks of the handler and its layers."""
        return _FileASGIResponse(
            self._delivery,
            background=self.background or background,
            cookies=chain(self.cookies, cookies or ()),
            headers={**(headers or {}), **self.headers},
            is_head_response=True,  # with which Litestar adds no headers for a body
        )


class _FileASGIResponse(ASGIResponse):
    def __init__(self, delivery: FileDelivery, **options: Any) -> None:
        super().__init__(**options)
        self._delivery = delivery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._delivery.send(
            self.encode_headers(), cast("asgi.Scope", scope), cast("asgi.Receive", receive), cast("asgi.Send", send)
        )
        await self.after_response()
