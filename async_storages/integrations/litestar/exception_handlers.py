"""Exception handlers that answer errors of this package in Litestar."""

from typing import Any

from litestar import Request, Response
from litestar.types import ExceptionHandlersMap

from async_storages.errors import StorageException
from async_storages.serving.problems import MEDIA_TYPE, reported_problem

__all__ = ["exception_handlers"]


def _answer(_request: Request[Any, Any, Any], error: StorageException) -> Response[bytes]:
    problem = reported_problem(error)
    return Response(problem.model_dump_json().encode(), status_code=problem.status, media_type=MEDIA_TYPE)


exception_handlers: ExceptionHandlersMap = {StorageException: _answer}
"""Handlers that answer every error of this package with its `http_status` and problem details (RFC 9457).

Errors with status 500 and above are logged with their traceback, by the logger ``async_storages``.

Example:
    >>> app = Litestar([], exception_handlers={**exception_handlers})
"""
