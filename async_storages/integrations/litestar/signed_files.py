"""The routes for the presigned URLs and forms of a `LocalStorage`."""

from typing import Any

from litestar import HttpMethod, Request, Response, Router, delete, post, put, route

from async_storages._secrets import hidden
from async_storages.backends.local.storage import LocalStorage
from async_storages.integrations.litestar.responses import StoredFileResponse
from async_storages.integrations.litestar.streamed_forms import request_body, request_headers
from async_storages.serving.front_server import FrontServer
from async_storages.serving.signed_files import SignedFiles

__all__ = ["signed_files"]


def signed_files(storage: LocalStorage, *, path: str, front_server: FrontServer | None = None) -> Router:
    """Return a router that answers GET, HEAD, DELETE, PUT and POST at the presigned URLs and forms of a folder.

    A URL works only for the file, name and content type that it was signed for, until it expires. The browser saves
    files that are not safe to show, even if the URL says ``inline``. Caches ask for the file each time, unless it was
    stored with a `cache_control`. They never keep it longer than its URL works.

    Key, content type and size of an upload are checked while the file arrives, and a failed upload leaves nothing.
    `exception_handlers` answers refused requests.

    Args:
        storage: A storage with a `secret_key`, and a `base_url` whose path is `path`. The path must not be empty.
        path: The path of the router, for example ``"/signed"``.
        front_server: A web server that sends the files: see `DeliveryOptions`.

    Example:
        >>> from async_storages.integrations.litestar import exception_handlers
        >>> storage = LocalStorage("files", base_url="/signed", secret_key=secret)
        >>> app = Litestar([signed_files(storage, path="/signed")], exception_handlers=exception_handlers)
    """
    files = SignedFiles(storage, front_server)

    @route("/{key:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def read(request: Request[Any, Any, Any]) -> StoredFileResponse:
        file, options = files.delivery(request.method, *_key_and_token(request))
        return StoredFileResponse(file, **options)

    @delete("/{key:path}")
    async def remove(request: Request[Any, Any, Any]) -> None:
        await files.delete(*_key_and_token(request))

    @put("/{key:path}")
    async def receive(request: Request[Any, Any, Any]) -> Response[bytes]:
        answer = await files.put(*_key_and_token(request), request_headers(request), request_body(request))
        return Response(b"", headers=answer)

    @post("/", status_code=204)
    async def receive_form(request: Request[Any, Any, Any]) -> Response[None]:
        return Response(None, headers=await files.post(request_headers(request), request_body(request)))

    handlers = [read, remove, receive, receive_form]  # the signatures limit the sizes of uploads
    return Router(path, route_handlers=handlers, include_in_schema=False, request_max_body_size=None)


def _key_and_token(request: Request[Any, Any, Any]) -> tuple[str, str]:
    key = str(request.path_params["key"]).removeprefix("/")
    return key, hidden(request.query_params.get("token", ""))
