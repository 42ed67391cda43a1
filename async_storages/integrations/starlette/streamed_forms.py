"""Starlette's requests: streamed bodies, forms whose files stream to the storage, and the manager."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Unpack

from starlette.requests import ClientDisconnect, HTTPConnection, Request

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.lifespan import manager_of
from async_storages.manager.manager import StorageManager
from async_storages.receiving.form_upload import FormOptions, StreamedForm, store_form
from async_storages.serving.asgi import joined_headers

__all__ = ["get_manager", "request_body", "request_headers", "stream_upload"]


async def get_manager(connection: HTTPConnection) -> StorageManager:
    """Return the manager of the application's `storage_lifespan`.

    Raises:
        StorageException: The application has no manager.
    """
    return manager_of(connection.app)


async def stream_upload(request: Request, manager: StorageManager, **options: Unpack[FormOptions]) -> StreamedForm:
    """Store the files of a form while it arrives: all of them, or none.

    The body must be unread. Do not call `request.form` or `request.body` before. A path operation of FastAPI must not
    declare `UploadFile`, `File` or `Form` parameters.

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
        >>> async def upload(request: Request) -> Response:
        ...     form = await stream_upload(request, manager, folder="photos")
        ...     return JSONResponse([attach.model_dump() for attach in form.attachments])
    """
    return await store_form(request_body(request), request_headers(request), manager, **options)


async def request_body(request: Request) -> AsyncGenerator[bytes]:
    """Yield the body as it arrives. To stop early, close the generator.

    Raises:
        InvalidArgumentException: The client has disconnected before the end.
    """
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                yield chunk
    except ClientDisconnect as error:
        raise InvalidArgumentException("the client has gone before its request was complete") from error


def request_headers(request: Request) -> dict[str, str]:
    """Return the headers by their names in lower case. Repeated headers are joined by commas."""
    return joined_headers(request.headers.raw)
