"""Answers that show rows with the URLs of their files."""

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
    """A JSON answer with URLs in place of the ids of files, which FastAPI itself would send.

    All files of a storage are presigned at once: see `file_urls`. In FastAPI give the schema to `response_model=` as
    well, for OpenAPI.

    Args:
        schema: The type of the answer: a pydantic model, ``list[DocumentOut]``, or anything else that pydantic takes.
        content: Such a value, or rows of a database that have its attributes.
        status_code: The status.
        expires_in: Seconds until the URLs end, 1 to 604,800.
        presign: False for the URLs of `Storage.url`, which need not end.
        stable: A window of time in which the same URLs are made again: see `SupportsPresign.presign`.
        strict: True to raise for a file of a storage that is not known here; otherwise its id is sent, and logged.

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
