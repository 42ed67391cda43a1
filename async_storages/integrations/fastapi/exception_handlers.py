"""Errors of this package, and requests that FastAPI cannot repeat, as problem details."""

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from async_storages.integrations import starlette
from async_storages.integrations.starlette.exception_handlers import problem_answer
from async_storages.serving.problems import Problem

__all__ = ["register_exception_handlers"]


def register_exception_handlers(app: FastAPI) -> None:
    """Answer every error of this package with its `http_status` and problem details (RFC 9457).

    Errors that are not the client's doing (500 and above) are logged with all that is known of them, by the logger
    ``async_storages``. FastAPI's own answer to a request that is not valid stays; where that cannot be written, as
    JSON has no infinity and UTF-8 no lone surrogates, it is problem details, too.
    """
    starlette.register_exception_handlers(app)
    if app.exception_handlers.get(RequestValidationError) is request_validation_exception_handler:
        app.add_exception_handler(RequestValidationError, _answer_invalid)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    try:
        return await request_validation_exception_handler(request, error)
    except ValueError:
        status, detail = HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid."
        return problem_answer(Problem(title=status.phrase, status=status, detail=detail, code="invalid_request"))
