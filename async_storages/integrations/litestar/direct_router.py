"""The routes by which browsers begin direct uploads: one of our own, and those that Uppy's AwsS3 plugin calls."""

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
"""Tells the client of a request."""


def direct_router(
    uploads: DirectUploads, *, path: str = "/uploads", owner: Owner | None = None, **options: Any
) -> Router:
    """The routes that begin uploads: see `async_storages.direct_uploads.browser_api` for each.

    Uppy works with them as it is: ``uppy.use(AwsS3, {endpoint: "/uploads"})``; the key that it reports when a file has
    arrived is what `DirectUploads.attach` takes. A storage that takes no parts answers 404 to the routes of parts.

    Args:
        uploads: Begins the uploads.
        path: The router's.
        owner: Tells who the client is: nobody else may complete or attach its uploads. None lets whoever knows the key
            do so.
        **options: Further options of the `Router`, such as the `guards` that say who may upload at all.

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
