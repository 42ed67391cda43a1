"""The routes that make the presigned URLs and forms of a `LocalStorage` work."""

from fastapi import APIRouter

from async_storages.backends.local.storage import LocalStorage
from async_storages.integrations.starlette.signed_files import SignedFileEndpoints
from async_storages.serving.front_server import FrontServer

__all__ = ["signed_downloads", "signed_uploads"]


def signed_downloads(storage: LocalStorage, front_server: FrontServer | None = None) -> APIRouter:
    """GET, HEAD and DELETE by the presigned URLs of a folder; include it where the storage's `base_url` points.

    A URL gives what it was signed for and nothing else: one file, under the name and type that it says, until it ends.
    What is not safe to show is saved, also where the URL says ``inline``. Caches ask again each time, unless the file
    was stored with a `cache_control`, and then never keep it longer than its URL lasts. Refusals are errors that
    `register_exception_handlers` answers.

    Args:
        storage: A storage with a `base_url` and a `secret_key`.
        front_server: Sends the files in the application's place: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: The storage is another one; a FallbackStorage's folders are served one by one.

    Example:
        >>> storage = LocalStorage("files", base_url="/files", secret_key=secret)
        >>> app.include_router(signed_downloads(storage), prefix="/files")
    """
    router = APIRouter(include_in_schema=False)
    endpoints = SignedFileEndpoints(storage, front_server)
    router.add_api_route("/{key:path}", endpoints.read, methods=["GET", "HEAD"])
    router.add_api_route("/{key:path}", endpoints.delete, methods=["DELETE"], status_code=204)
    return router


def signed_uploads(storage: LocalStorage) -> APIRouter:
    """PUT and POST by the presigned URLs and forms of a folder, as S3 takes them: development equals production.

    What the signature says of key, type and size is kept to while the file arrives; one that fails leaves nothing.
    Include it beside `signed_downloads`.

    Args:
        storage: A storage with a `secret_key`, and a `base_url` whose path is the prefix and not empty.
    """
    router = APIRouter(include_in_schema=False)
    endpoints = SignedFileEndpoints(storage)
    router.add_api_route("/{key:path}", endpoints.put, methods=["PUT"])
    router.add_api_route("", endpoints.post, methods=["POST"])
    return router
