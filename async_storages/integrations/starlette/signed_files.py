"""The routes that make the presigned URLs and forms of a `LocalStorage` work."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from async_storages._secrets import hidden
from async_storages.backends.local.storage import LocalStorage
from async_storages.integrations.starlette.responses import StoredFileResponse
from async_storages.integrations.starlette.streamed_forms import request_body, request_headers
from async_storages.serving.front_server import FrontServer
from async_storages.serving.signed_files import SignedFiles

__all__ = ["SignedFileEndpoints", "signed_downloads", "signed_uploads"]


def signed_downloads(storage: LocalStorage, *, prefix: str, front_server: FrontServer | None = None) -> list[Route]:
    """GET, HEAD and DELETE by the presigned URLs of a folder; their prefix is the path of the storage's `base_url`.

    A URL gives what it was signed for and nothing else: one file, under the name and type that it says, until it ends.
    What is not safe to show is saved, also where the URL says ``inline``. Caches ask again each time, unless the file
    was stored with a `cache_control`, and then never keep it longer than its URL lasts. Refusals are errors that
    `register_exception_handlers` answers.

    Args:
        storage: A storage with a `base_url` and a `secret_key`.
        prefix: The routes', such as ``"/signed"``.
        front_server: Sends the files in the application's place: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: The storage is another one; a FallbackStorage's folders are served one by one.

    Example:
        >>> from starlette.applications import Starlette
        >>> storage = LocalStorage("files", base_url="/signed", secret_key=secret)
        >>> app = Starlette([*signed_downloads(storage, prefix="/signed"), *signed_uploads(storage, prefix="/signed")])
    """
    endpoints = SignedFileEndpoints(storage, front_server)
    return [
        Route(f"{prefix}/{{key:path}}", endpoints.read, methods=["GET", "HEAD"]),
        Route(f"{prefix}/{{key:path}}", endpoints.delete, methods=["DELETE"]),
    ]


def signed_uploads(storage: LocalStorage, *, prefix: str) -> list[Route]:
    """PUT and POST by the presigned URLs and forms of a folder, as S3 takes them: development equals production.

    What the signature says of key, type and size is kept to while the file arrives; one that fails leaves nothing.
    They stand beside `signed_downloads`.

    Args:
        storage: A storage with a `secret_key`, and a `base_url` whose path is the prefix and not empty.
        prefix: The routes', such as ``"/signed"``.
    """
    endpoints = SignedFileEndpoints(storage)
    return [
        Route(f"{prefix}/{{key:path}}", endpoints.put, methods=["PUT"]),
        Route(prefix, endpoints.post, methods=["POST"]),
    ]


class SignedFileEndpoints:
    """Answers the requests that presigned URLs and forms are good for."""

    def __init__(self, storage: LocalStorage, front_server: FrontServer | None = None) -> None:
        self._files = SignedFiles(storage, front_server)

    async def read(self, request: Request) -> StoredFileResponse:
        """Give a file."""
        file, options = self._files.delivery(request.method, *_key_and_token(request))
        return StoredFileResponse(file, **options)

    async def delete(self, request: Request) -> Response:
        """Delete a file."""
        await self._files.delete(*_key_and_token(request))
        return Response(status_code=204)

    async def put(self, request: Request) -> Response:
        """Store a file that is the body of the request."""
        answer = await self._files.put(*_key_and_token(request), request_headers(request), request_body(request))
        return Response(headers=answer)

    async def post(self, request: Request) -> Response:
        """Store a file that a form holds."""
        return Response(
            status_code=204, headers=await self._files.post(request_headers(request), request_body(request))
        )


def _key_and_token(request: Request) -> tuple[str, str]:
    return request.path_params["key"], hidden(request.query_params.get("token", ""))
