"""The routes for the presigned URLs and forms of a `LocalStorage`."""

from fastapi import APIRouter

from async_storages.backends.local.storage import LocalStorage
from async_storages.integrations.starlette.signed_files import SignedFileEndpoints
from async_storages.serving.front_server import FrontServer

__all__ = ["signed_downloads", "signed_uploads"]


def signed_downloads(storage: LocalStorage, front_server: FrontServer | None = None) -> APIRouter:
    """Return a router that answers GET, HEAD and DELETE at the presigned URLs of a folder.

    Include it with the path of the storage's `base_url` as the prefix.

    A URL works only for the file, name and content type that it was signed for, until it expires. The browser saves
    files that are not safe to show, even if the URL says ``inline``. Caches ask for the file each time, unless it was
    stored with a `cache_control`. They never keep it longer than its URL works.

    `register_exception_handlers` answers refused requests.

    Args:
        storage: A storage with a `base_url` and a `secret_key`.
        front_server: A web server that sends the files: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: The storage is not a `LocalStorage`. For a `FallbackStorage`, add the routes of each
            of its folders.

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
    """Return a router that accepts PUT and POST at the presigned URLs and forms of a folder, as S3 does.

    So development works like production. The signature fixes key, content type and size. They are checked while the
    file arrives, and a failed upload leaves nothing.

    Include the router with the same prefix as `signed_downloads`.

    Args:
        storage: A storage with a `secret_key`, and a `base_url` whose path is the prefix. The path must not be empty.
    """
    router = APIRouter(include_in_schema=False)
    endpoints = SignedFileEndpoints(storage)
    router.add_api_route("/{key:path}", endpoints.put, methods=["PUT"])
    router.add_api_route("", endpoints.post, methods=["POST"])
    return router
