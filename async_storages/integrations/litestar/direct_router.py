"""The routes for direct uploads: one route of this library, and the routes for Uppy's AwsS3 plugin."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import HttpMethod, Request, Response, Router, route
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from async_storages.direct_uploads.browser_api import NO_PARTS
from async_storages.direct_uploads.browser_calls import BrowserCall, BrowserRequest, browser_calls
from async_storages.direct_uploads.uploads import DirectUploads
from async_storages.integrations.litestar.streamed_forms import request_body

__all__ = ["Owner", "direct_router"]

type Owner = Callable[[Request[Any, Any, Any]], Awaitable[str | None]]
"""A function that returns the client of a request."""


def direct_router(
    uploads: DirectUploads, *, path: str = "/uploads", owner: Owner | None = None, **options: Any
) -> Router:
    """Return a router with the routes for direct uploads: the same as those of FastAPI's `direct_router`.

    Uppy works with these routes without changes: ``uppy.use(AwsS3, {endpoint: "/uploads"})``. When a file has arrived,
    Uppy reports its key. Pass this key to `DirectUploads.attach`. If the storage does not support uploads in parts, the
    routes for parts answer 404.

    Args:
        uploads: The `DirectUploads`.
        path: The path of the router.
        owner: A function that returns the client. No other client may complete or attach its uploads. None allows
            every client that knows the key.
        **options: Further options of the `Router`, for example `guards` that decide who may upload.

    Example:
        >>> from litestar import Request
        >>> async def current_user(request: Request) -> str:
        ...     return request.user.name
        >>> app = Litestar([direct_router(uploads, owner=current_user)])
    """

    def handler(call: BrowserCall) -> HTTPRouteHandler:
        @route(call.path or "/", http_method=HttpMethod(call.method), status_code=200)
        async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
            who = None if owner is None else await owner(request)
            if call.is_of_parts and not uploads.takes_parts:
                raise NotFoundException(NO_PARTS)
            kind = request.headers.get("content-type", "")
            asked = BrowserRequest(request.path_params, request.query_params, kind, request_body(request), who)
            return Response(await call.answer(asked), media_type="application/json")

        return answer

    handlers = [handler(call) for call in browser_calls(uploads)]
    return Router(path, route_handlers=handlers, **{"include_in_schema": False, **options})
