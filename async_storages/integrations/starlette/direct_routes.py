"""The routes for direct uploads: one route of this library, and the routes for Uppy's AwsS3 plugin."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from async_storages.direct_uploads.browser_api import NO_PARTS
from async_storages.direct_uploads.browser_calls import BrowserCall, BrowserRequest, browser_calls
from async_storages.direct_uploads.uploads import DirectUploads
from async_storages.integrations.starlette.streamed_forms import request_body

__all__ = ["Owner", "direct_routes"]

type Owner = Callable[[Request], Awaitable[str | None]]
"""A function that returns the client of a request."""


def direct_routes(uploads: DirectUploads, *, prefix: str = "/uploads", owner: Owner | None = None) -> list[Route]:
    """Return the routes for direct uploads: the same as those of FastAPI's `direct_router`.

    Uppy works with these routes without changes: ``uppy.use(AwsS3, {endpoint: "/uploads"})``. When a file has arrived,
    Uppy reports its key. Pass this key to `DirectUploads.attach`. If the storage does not support uploads in parts, the
    routes for parts answer 404.

    Args:
        uploads: The `DirectUploads`.
        prefix: The prefix of the routes.
        owner: A function that returns the client, and raises for clients that may not upload. No other client may
            complete or attach its uploads. None allows everybody to upload, and every client that knows the key to
            attach.

    Example:
        >>> from starlette.applications import Starlette
        >>> from starlette.requests import Request
        >>> async def current_user(request: Request) -> str:
        ...     return request.user.display_name
        >>> app = Starlette([*direct_routes(uploads, owner=current_user)])
    """

    def endpoint(call: BrowserCall) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            who = None if owner is None else await owner(request)
            if call.is_of_parts and not uploads.takes_parts:
                raise HTTPException(404, NO_PARTS)
            kind = request.headers.get("content-type", "")
            asked = BrowserRequest(request.path_params, request.query_params, kind, request_body(request), who)
            return Response(await call.answer(asked), media_type="application/json")

        return answer

    return [Route(f"{prefix}{call.path}", endpoint(call), methods=[call.method]) for call in browser_calls(uploads)]
