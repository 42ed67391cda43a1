"""Litestar's answers that give stored files."""

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
    """Answers GET and HEAD with a stored file: by a redirect to a presigned URL, or through the application.

    Through the application it serves one range (206, 416), conditions (304, 412) and HEAD as RFC 9110 has them, and
    lets go of the storage as soon as the client has gone. A file that is missing, or fails before its first byte, is
    an error that `exception_handlers` answer; what fails later ends the connection.

    Args:
        file: The file; None, of an empty column, is answered like a missing file.
        headers: Further headers; through the application they take the place of the same ones of ours.
        background: Runs afterwards, also when the client has gone.
        **options: The name, type and way of delivery, and more: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option that cannot be.
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
        """The answer with the headers, cookies and tasks of the handler and its layers."""
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
