"""Responses that show rows with the URLs of their files."""

from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from starlette.responses import Response

from async_storages.many_files import file_urls

__all__ = ["response_with_urls"]


async def response_with_urls(
    schema: Any,
    content: object,
    status_code: int = 200,
    *,
    expires_in: float = 3600,
    presign: bool = True,
    stable: timedelta | None = None,
    strict: bool = False,
) -> Response:
    """Return a JSON response with URLs in place of file ids. By itself, FastAPI sends the ids.

    It presigns all files of a storage together: see `file_urls`. In FastAPI, also pass the schema as `response_model=`,
    for OpenAPI.

    Args:
        schema: The type of the content: a pydantic model, ``list[DocumentOut]``, or another type that pydantic knows.
        content: A value of this type, or database rows with its attributes.
        status_code: The status.
        expires_in: Seconds until presigned URLs expire, 1 to 604,800.
        presign: True presigns. False returns the URLs of `Storage.url`, which may never expire.
        stable: The time window in which the URLs stay the same: see `SupportsPresign.presign`.
        strict: True raises for a file of an unknown storage. False sends and logs its id.

    Raises:
        pydantic.ValidationError: The content does not fit the schema.
        StorageException: As for `file_urls`.

    Example:
        >>> @app.get("/documents", response_model=list[DocumentOut])
        ... async def documents(session: SessionDep) -> Response:
        ...     return await response_with_urls(list[DocumentOut], (await session.scalars(select(Document))).all())
    """
    adapter = TypeAdapter[Any](schema)
    shown = adapter.validate_python(content, from_attributes=True)
    urls = await file_urls(shown, expires_in=expires_in, presign=presign, stable=stable, strict=strict)
    body = adapter.dump_json(shown, by_alias=True, context=urls)
    return Response(body, status_code, media_type="application/json")
