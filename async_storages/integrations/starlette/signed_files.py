"""The routes for the presigned URLs and forms of a `LocalStorage`."""

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
    """Return the routes that answer GET, HEAD and DELETE at the presigned URLs of a folder.

    A URL works only for the file, name and content type that it was signed for, until it expires. The browser saves
    files that are not safe to show, even if the URL says ``inline``. Caches ask for the file each time, unless it was
    stored with a `cache_control`. They never keep it longer than its URL works.

    `register_exception_handlers` answers refused requests.

    Args:
        storage: A storage with a `base_url` and a `secret_key`.
        prefix: The prefix of the routes, for example ``"/signed"``. It is the path of the storage's `base_url`.
        front_server: A web server that sends the files: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: The storage is not a `LocalStorage`. For a `FallbackStorage`, add the routes of each
            of its folders.

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
    """Return the routes that accept PUT and POST at the presigned URLs and forms of a folder, as S3 does.

    So development works like production. The signature fixes key, content type and size. They are checked while the
    file arrives, and a failed upload leaves nothing.

    Use them together with `signed_downloads`.

    Args:
        storage: A storage with a `secret_key`, and a `base_url` whose path is the prefix. The path must not be empty.
        prefix: The prefix of the routes, for example ``"/signed"``.
    """
    endpoints = SignedFileEndpoints(storage)
    return [
        Route(f"{prefix}/{{key:path}}", endpoints.put, methods=["PUT"]),
        Route(prefix, endpoints.post, methods=["POST"]),
    ]


class SignedFileEndpoints:
    """Answers the requests to presigned URLs and forms."""

    def __init__(self, storage: LocalStorage, front_server: FrontServer | None = None) -> None:
        self._files = SignedFiles(storage, front_server)

    async def read(self, request: Request) -> StoredFileResponse:
        """Send a file."""
        file, options = self._files.delivery(request.method, *_key_and_token(request))
        return StoredFileResponse(file, **options)

    async def delete(self, request: Request) -> Response:
        """Delete a file."""
        await self._files.delete(*_key_and_token(request))
        return Response(status_code=204)

    async def put(self, request: Request) -> Response:
        """Store the body of a request as a file."""
        answer = await self._files.put(*_key_and_token(request), request_headers(request), request_body(request))
        return Response(headers=answer)

    async def post(self, request: Request) -> Response:
        """Store the file of a form."""
        return Response(
            status_code=204, headers=await self._files.post(request_headers(request), request_body(request))
        )


def _key_and_token(request: Request) -> tuple[str, str]:
    return request.path_params["key"], hidden(request.query_params.get("token", ""))
