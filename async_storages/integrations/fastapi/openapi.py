"""Descriptions for OpenAPI that FastAPI cannot derive: errors, files in responses, and files in forms."""

from http import HTTPStatus
from typing import Any

from async_storages.serving.problems import MEDIA_TYPE, Problem

__all__ = ["file_form", "file_responses", "problem_responses"]

_BINARY = {"type": "string", "format": "binary"}


def file_responses(*media_types: str, redirect: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the value of `responses=` for a path operation that answers with a file.

    Use it together with ``response_class=Response``.

    Args:
        *media_types: The possible content types of the file, for example ``"image/*"``. By default all types.
        redirect: True if the response may be a redirect. `StoredFileResponse` redirects unless its mode is ``"proxy"``.

    Example:
        >>> @app.get("/photos/{number}", response_class=Response, responses=file_responses("image/*", redirect=True))
        ... async def photo(number: int) -> StoredFileResponse: ...
    """
    content = {kind: {"schema": _BINARY} for kind in media_types or ("*/*",)}
    documented: dict[int | str, dict[str, Any]] = {200: {"content": content}}
    if redirect:
        documented[307] = {"description": "The file is at the URL that Location gives."}
    return documented


def file_form(field: str, *, many: bool = False) -> dict[str, Any]:
    """Return the value of `openapi_extra=` for a path operation that reads a form itself, with files in one field."""
    files = {"type": "array", "items": _BINARY} if many else _BINARY
    form = {"type": "object", "properties": {field: files}, "required": [field]}
    return {"requestBody": {"content": {"multipart/form-data": {"schema": form}}, "required": True}}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the value of `responses=` for a path operation or router that answers with problem details.

    Args:
        *statuses: The HTTP statuses of the errors.

    Example:
        >>> @app.get("/files/{token}", responses=problem_responses(403, 404))
        ... async def download(token: str) -> StoredFileResponse: ...
    """
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        }
        for status in statuses
    }
