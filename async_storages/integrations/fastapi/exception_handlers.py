"""Exception handlers: errors of this package, and some invalid requests, become problem details."""

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

    Errors with status 500 and above are logged with their traceback, by the logger ``async_storages``.

    FastAPI still answers invalid requests itself. If it cannot write its answer, because the request holds an infinite
    number or a lone surrogate, the answer is problem details too.

    Args:
        app: The application.
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
