"""Starlette's requests: their bodies as they arrive, forms whose files go straight to their storage, the manager."""

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
    """The manager of the application's `storage_lifespan`.

    Raises:
        StorageException: The application has none.
    """
    return manager_of(connection.app)


async def stream_upload(request: Request, manager: StorageManager, **options: Unpack[FormOptions]) -> StreamedForm:
    """Store the files of a form while it arrives: all of them, or none.

    Nobody may have read the body before: call neither `request.form` nor `request.body`; a path operation of FastAPI
    must not ask for `UploadFile`, `File` or `Form`.

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
        >>> async def upload(request: Request) -> Response:
        ...     form = await stream_upload(request, manager, folder="photos")
        ...     return JSONResponse([attach.model_dump() for attach in form.attachments])
    """
    return await store_form(request_body(request), request_headers(request), manager, **options)


async def request_body(request: Request) -> AsyncGenerator[bytes]:
    """The body as it arrives; close it when leaving early.

    Raises:
        InvalidArgumentException: The client has gone before all of it came.
    """
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                yield chunk
    except ClientDisconnect as error:
        raise InvalidArgumentException("the client has gone before its request was complete") from error


def request_headers(request: Request) -> dict[str, str]:
    """The headers by their names in lower case, lines of one name joined by commas."""
    return joined_headers(request.headers.raw)
