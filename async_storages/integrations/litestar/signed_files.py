"""The routes that make the presigned URLs and forms of a `LocalStorage` work."""

from typing import Any

from litestar import HttpMethod, Request, Response, Router, delete, post, put, route

from async_storages._secrets import hidden
from async_storages.backends.local.storage import LocalStorage
from async_storages.integrations.litestar.requests import request_body, request_headers
from async_storages.integrations.litestar.responses import StoredFileResponse
from async_storages.serving.front_server import FrontServer
from async_storages.serving.signed_files import SignedFiles

__all__ = ["signed_downloads", "signed_uploads"]


def signed_downloads(storage: LocalStorage, *, path: str, front_server: FrontServer | None = None) -> Router:
    """GET, HEAD and DELETE by the presigned URLs of a folder; the path is that of the storage's `base_url`.

    A URL gives what it was signed for and nothing else: one file, under the name and type that it says, until it ends.
    What is not safe to show is saved, also where the URL says ``inline``. Caches ask again each time, unless the file
    was stored with a `cache_control`, and then never keep it longer than its URL lasts. Refusals are errors that
    `exception_handlers` answer.

    Args:
        storage: A storage with a `base_url` and a `secret_key`.
        path: The router's, such as ``"/signed"``.
        front_server: Sends the files in the application's place: see `DeliveryOptions`.

    Example:
        >>> storage = LocalStorage("files", base_url="/signed", secret_key=secret)
        >>> app = Litestar([signed_downloads(storage, path="/signed"), signed_uploads(storage, path="/signed")])
    """
    files = SignedFiles(storage, front_server)

    @route("/{key:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def read(request: Request[Any, Any, Any]) -> StoredFileResponse:
        file, options = files.delivery(request.method, *_key_and_token(request))
        return StoredFileResponse(file, **options)

    @delete("/{key:path}")
    async def remove(request: Request[Any, Any, Any]) -> None:
        await files.delete(*_key_and_token(request))

    return Router(path, route_handlers=[read, remove], include_in_schema=False)


def signed_uploads(storage: LocalStorage, *, path: str) -> Router:
    """PUT and POST by the presigned URLs and forms of a folder, as S3 takes them: development equals production.

    What the signature says of key, type and size is kept to while the file arrives; one that fails leaves nothing.
    Use them beside `signed_downloads`.

    Args:
        storage: A storage with a `secret_key`, and a `base_url` whose path is this one and not empty.
        path: The router's, such as ``"/signed"``.
    """
    files = SignedFiles(storage)

    @put("/{key:path}")
    async def receive(request: Request[Any, Any, Any]) -> Response[bytes]:
        answer = await files.put(*_key_and_token(request), request_headers(request), request_body(request))
        return Response(b"", headers=answer)

    @post("/", status_code=204)
    async def receive_form(request: Request[Any, Any, Any]) -> Response[None]:
        return Response(None, headers=await files.post(request_headers(request), request_body(request)))

    return Router(  # the signatures limit the sizes
        path, route_handlers=[receive, receive_form], include_in_schema=False, request_max_body_size=None
    )


def _key_and_token(request: Request[Any, Any, Any]) -> tuple[str, str]:
    key = str(request.path_params["key"]).removeprefix("/")
    return key, hidden(request.query_params.get("token", ""))
