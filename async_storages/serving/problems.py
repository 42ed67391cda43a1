"""Errors as problem details (RFC 9457): what a stranger may know of them, and no more."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from async_storages import errors
from async_storages.errors import StorageException

__all__ = ["Problem", "problem_of", "problem_responses", "register_exception_handlers"]

logger = logging.getLogger("async_storages")

MEDIA_TYPE = "application/problem+json"

_TOLD: dict[type[StorageException], tuple[str, str]] = {
    errors.InvalidArgumentException: ("invalid_argument", "Something in the request cannot be right."),
    errors.InvalidFileTypeException: ("invalid_file_type", "Files of this type are not accepted here."),
    errors.FileTooLargeException: ("file_too_large", "The file is larger than allowed here."),
    errors.FileNotFoundException: ("file_not_found", "There is no such file."),
    errors.FileExistsException: ("file_exists", "There is such a file already."),
    errors.FileGoneException: ("file_gone", "The file was removed meanwhile."),
    errors.FileArchivedException: ("file_archived", "The file is archived, and has to be restored first."),
    errors.AccessDeniedException: ("access_denied", "Access was denied; a link may have expired."),
    errors.DeleteNotSupportedException: ("delete_not_supported", "Files cannot be deleted here."),
    errors.RouteNotSupportedException: ("route_not_supported", "Files of this kind or place are not served here."),
    errors.OperationNotSupportedException: ("operation_not_supported", "This cannot be done with this file."),
    errors.StorageUnavailableException: ("storage_unavailable", "The file storage cannot be reached; try again later."),
    errors.ChecksumMismatchException: ("checksum_mismatch", "The file was damaged on its way; try again."),
    errors.StorageOperationException: ("storage_failed", "The file storage failed."),
    errors.StorageException: ("storage_error", "Something went wrong."),
}


class Problem(BaseModel):
    """A problem as RFC 9457 describes it, with a `code` for programs.

    Attributes:
        type: Always ``about:blank``: the status says it all.
        title: The status in words.
        status: The HTTP status.
        detail: What went wrong, for people: a sentence that is the same for every file.
        code: What went wrong, for programs: the exception's name, such as ``file_too_large``.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


def problem_of(error: StorageException) -> Problem:
    """What strangers are told of an error: its class and its status.

    Its reason, id, bucket or endpoint, and what a backend said, stay here.
    """
    code, detail = next(_TOLD[kind] for kind in type(error).__mro__ if kind in _TOLD)
    return Problem(title=HTTPStatus(error.http_status).phrase, status=error.http_status, detail=detail, code=code)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The value of `responses=` for a path operation or router that answers these statuses with problems.

    Example:
        >>> @app.get("/files/{token}", responses=problem_responses(403, 404))
    """
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        }
        for status in statuses
    }


def register_exception_handlers(app: FastAPI) -> None:
    """Answer every error of this package with its `http_status` and problem details.

    What is not the client's doing (500 and above) is logged with all that is known of it, by the logger
    ``async_storages``. FastAPI's own answer to a request that is not valid stays; where that cannot be written, as
    JSON has no infinity and UTF-8 no lone surrogates, it is problem details, too.
    """
    app.add_exception_handler(StorageException, _answer)
    if app.exception_handlers.get(RequestValidationError) is request_validation_exception_handler:
        app.add_exception_handler(RequestValidationError, _answer_invalid)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    try:
        return await request_validation_exception_handler(request, error)
    except ValueError:
        status, detail = HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid."
        problem = Problem(title=status.phrase, status=status, detail=detail, code="invalid_request")
        return JSONResponse(problem.model_dump(), status, media_type=MEDIA_TYPE)


async def _answer(_request: Request, error: Exception) -> Response:
    if not isinstance(error, StorageException):
        raise error
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("a request failed: %s", error, exc_info=error)  # its path may hold a token
    return JSONResponse(problem_of(error).model_dump(), error.http_status, media_type=MEDIA_TYPE)
