"""The progress of uploads in the forms of admin panels: a script shows it, and a middleware supports the script."""

from collections.abc import Awaitable, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from markupsafe import Markup
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from async_storages._version import __version__

__all__ = ["AdminUploads", "has_admin_uploads", "upload_script"]

_HEADER = "x-stored-files"
"""The script sends this header. In the response, the header with "-location" names the page to show."""

_PATH = "/stored-files.js"
_SCRIPT = Path(__file__).with_suffix(".js").read_bytes()
_CACHED = {"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"}
_SHOWN_NEXT = {301, 302, 303}
"""Redirects to a page to show. With 307 and 308, the browser sends the form again."""

_root: ContextVar[str | None] = ContextVar("root of the panel", default=None)


class AdminUploads:
    """Middleware for a panel: it serves the script, and tells the script the target of a redirect.

    Otherwise the browser would follow the redirect before the script sees it. Messages that a panel shows once would
    be lost.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Begin a response. For a page of the panel, return the coroutine of the panel itself."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        root: str = scope.get("root_path", "")
        if scope["path"].removeprefix(root) == _PATH:
            return Response(_SCRIPT, headers=_CACHED, media_type="text/javascript")(scope, receive, send)
        _root.set(root)
        return self._app(scope, receive, _told(send) if _HEADER in Headers(scope=scope) else send)


class _HasClass(Protocol):
    @property
    def cls(self) -> Any: ...


def has_admin_uploads(middleware: Iterable[_HasClass]) -> bool:
    """Return True if a panel already has the middleware, from another view."""
    return any(each.cls is AdminUploads for each in middleware)


def upload_script() -> Markup:
    """Return the HTML element that loads the script. Outside of a panel, it is empty.

    A page may hold several such elements. The browser runs the script once.
    """
    root = _root.get()
    if root is None:
        return Markup("")
    return Markup('<script type="module" src="{}{}?v={}"></script>').format(root, _PATH, __version__)


def _told(send: Send) -> Send:
    is_told = False

    async def tell(message: Message) -> None:
        nonlocal is_told
        if message["type"] == "http.response.start" and message["status"] in _SHOWN_NEXT:
            is_told = True
            message = {**message, "status": 204, "headers": list(message["headers"])}
            headers = MutableHeaders(raw=message["headers"])
            headers[f"{_HEADER}-location"] = headers.get("location", "")
            for name in ("location", "content-length", "content-type"):
                del headers[name]
        elif is_told:
            message = {**message, "body": b""}
        await send(message)

    return tell
