"""Exception handlers that answer errors of this package in Starlette."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from async_storages.errors import StorageException
from async_storages.serving.problems import MEDIA_TYPE, Problem, reported_problem

__all__ = ["problem_answer", "register_exception_handlers"]


def register_exception_handlers(app: Starlette) -> None:
    """Answer every error of this package with its `http_status` and problem details (RFC 9457).

    Errors with status 500 and above are logged with their traceback, by the logger ``async_storages``.

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette(routes=[])
        >>> register_exception_handlers(app)
    """
    app.add_exception_handler(StorageException, _answer)


def problem_answer(problem: Problem) -> Response:
    """Return a problem as a JSON response."""
    return JSONResponse(problem.model_dump(), problem.status, media_type=MEDIA_TYPE)


async def _answer(_request: Request, error: Exception) -> Response:
    if not isinstance(error, StorageException):
        raise error
    return problem_answer(reported_problem(error))
