"""The routes by which browsers begin direct uploads: one of our own, and those that Uppy's AwsS3 plugin calls."""

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
"""Tells the client of a request."""


def direct_routes(uploads: DirectUploads, *, prefix: str = "/uploads", owner: Owner | None = None) -> list[Route]:
    """The routes that begin uploads: see `async_storages.direct_uploads.browser_api` for each.

    Uppy works with them as it is: ``uppy.use(AwsS3, {endpoint: "/uploads"})``; the key that it reports when a file has
    arrived is what `DirectUploads.attach` takes. A storage that takes no parts answers 404 to the routes of parts.

    Args:
        uploads: Begins the uploads.
        prefix: The routes'.
        owner: Tells who the client is, and raises for those who may not upload: nobody else may complete or attach its
            uploads. None lets everybody upload, and whoever knows the key attach.

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
