"""Litestar's requests: streamed bodies, forms whose files stream to the storage, and the manager."""

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
    """Return the manager of the application's `storage_lifespan`. As a dependency: ``Provide(get_manager)``.

    Raises:
        StorageException: The application has no manager.
    """
    return manager_of(request.app)


async def stream_upload(
    request: Request[Any, Any, Any], manager: StorageManager, **options: Unpack[FormOptions]
) -> StreamedForm:
    """Store the files of a form while it arrives: all of them, or none.

    The handler must take the `Request` and no ``data``, because Litestar would read the body for ``data``. Litestar
    refuses bodies above 10 MB. To allow larger ones, set ``request_max_body_size=`` of the handler.

    Args:
        request: A request whose body is ``multipart/form-data``.
        manager: The manager that stores the files.
        **options: The folder, the validator and more: see `FormOptions`.

    Returns:
        The form with the stored files.

    Raises:
        InvalidArgumentException: The form is malformed, incomplete or has too many files, or the client has
            disconnected.
        FileTooLargeException: A file is larger than allowed, or the form has more than 1 MiB of text.
        InvalidFileTypeException: A file has a type that is not allowed.
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
    """Yield the body as it arrives. To stop early, close the generator.

    Raises:
        InvalidArgumentException: The client has disconnected before the end.
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
    """Return the headers by their names in lower case. Repeated headers are joined by commas."""
    return joined_headers(list(request.scope["headers"]))
