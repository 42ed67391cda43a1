"""Litestar's requests: their bodies as they arrive, forms whose files go straight to their storage, the manager."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Unpack

from litestar import Request
from litestar.exceptions import InternalServerException

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.lifespan import manager_of
from async_storages.manager.manager import StorageManager
from async_storages.receiving.form_upload import FormOptions, StreamedForm, store_form
from async_storages.serving.asgi import joined_headers

__all__ = ["get_manager", "request_body", "request_headers", "stream_upload"]


async def get_manager(request: Request[Any, Any, Any]) -> StorageManager:
    """The manager of the application's `storage_lifespan`; a dependency, too: ``Provide(get_manager)``.

    Raises:
        StorageException: The application has none.
    """
    return manager_of(request.app)


async def stream_upload(
    request: Request[Any, Any, Any], manager: StorageManager, **options: Unpack[FormOptions]
) -> StreamedForm:
    """Store the files of a form while it arrives: all of them, or none.

    The handler asks for the `Request` and for no ``data``, as Litestar would read the body first. Litestar refuses
    bodies above 10 MB unless the handler has another ``request_max_body_size=``.

    Args:
        request: A request whose body is ``multipart/form-data``.
        manager: The storage of the files.
        **options: The folder of the files, the rules that let them in, and more: see `FormOptions`.

    Raises:
        InvalidArgumentException: The form is malformed, cut short, or of too many files; or the client has gone.
        FileTooLargeException: A file is larger than allowed, or there is more than 1 MiB of text beside them.
        InvalidFileTypeException: A file is of a type that is not allowed.
        StorageException: As for `UploadService.upload_stream`.

    Example:
        >>> from litestar import Request, post
        >>> from async_storages import FileAttach
        >>> @post("/photos", request_max_body_size=50_000_000)
        ... async def upload(request: Request) -> list[FileAttach]:
        ...     return (await stream_upload(request, await get_manager(request), folder="photos")).attachments
    """
    return await store_form(request_body(request), request_headers(request), manager, **options)


async def request_body(request: Request[Any, Any, Any]) -> AsyncGenerator[bytes]:
    """The body as it arrives; close it when leaving early.

    Raises:
        InvalidArgumentException: The client has gone before all of it came.
    """
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                if chunk:  # Litestar ends with an empty one
                    yield chunk
    except InternalServerException as error:
        if "disconnected" not in error.detail:
            raise
        raise InvalidArgumentException("the client has gone before its request was complete") from error


def request_headers(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The headers by their names in lower case, lines of one name joined by commas."""
    return joined_headers(list(request.scope["headers"]))
