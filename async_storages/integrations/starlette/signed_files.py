"""The routes that make the presigned URLs and forms of a `LocalStorage` work."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Response
from starlette.requests import Request

from async_storages._secrets import hidden
from async_storages.backends.local.storage import LocalStorage
from async_storages.errors import InvalidArgumentException
from async_storages.integrations.fastapi.form_reader import FormReader, received
from async_storages.integrations.fastapi.front_server import FrontServer
from async_storages.integrations.fastapi.responses import StoredFileResponse

__all__ = ["signed_downloads", "signed_uploads"]


def signed_downloads(storage: LocalStorage, front_server: FrontServer | None = None) -> APIRouter:
    """GET, HEAD and DELETE by the presigned URLs of a folder; include it where the storage's `base_url` points.

    A URL gives what it was signed for and nothing else: one file, under the name and type that it says, until it ends.
    What is not safe to show is saved, also where the URL says ``inline``. Caches ask again each time, unless the file
    was stored with a `cache_control`, and then never keep it longer than its URL lasts. Refusals are errors that
    `register_exception_handlers` answers.

    Args:
        storage: With a `base_url` and a `secret_key`.
        front_server: Sends the files in the application's place: see `StoredFileResponse`.

    Example:
        >>> storage = LocalStorage("files", base_url="/files", secret_key=secret)
        >>> app.include_router(signed_downloads(storage), prefix="/files")
    """
    router = APIRouter(include_in_schema=False)

    @router.api_route("/{key:path}", methods=["GET", "HEAD"])
    async def read(request: Request, key: str, token: str = "") -> StoredFileResponse:
        token = hidden(token)
        allowed = storage.verify_presigned(request.method, key, token)
        return StoredFileResponse(
            storage.file(allowed.key),
            filename=allowed.filename,
            disposition=allowed.disposition or "inline",
            content_type=allowed.content_type,
            mode="proxy",
            front_server=front_server,
            fresh_for=allowed.lasts,
        )

    @router.delete("/{key:path}", status_code=204)
    async def delete(key: str, token: str = "") -> Response:
        token = hidden(token)
        await storage.delete(storage.verify_presigned("DELETE", key, token).key)
        return Response(status_code=204)

    return router


def signed_uploads(storage: LocalStorage) -> APIRouter:
    """PUT and POST by the presigned URLs and forms of a folder, as S3 takes them: development equals production.

    What the signature says of key, type and size is kept to while the file arrives; one that fails leaves nothing.
    Include it beside `signed_downloads`.

    Args:
        storage: With a `base_url`, whose path is the prefix and not empty, and a `secret_key`.
    """
    router = APIRouter(include_in_schema=False)

    async def answer(key: str, status_code: int) -> Response:
        etag = (await storage.stat(key)).etag
        return Response(status_code=status_code, headers={"ETag": f'"{etag}"', "Location": await storage.url(key)})

    @router.put("/{key:path}")
    async def put(request: Request, key: str, token: str = "") -> Response:
        token = hidden(token)
        allowed = storage.verify_presigned("PUT", key, token)
        declared = request.headers.get("content-length")  # digits only: servers refuse others
        async with aclosing(received(request)) as content:
            await storage.upload_presigned(
                allowed,
                content,
                content_type=request.headers.get("content-type"),
                content_length=None if declared is None else int(declared),
            )
        return await answer(key, 200)

    @router.post("")
    async def post(request: Request) -> Response:
        async def store(_name: str, content: AsyncGenerator[bytes]) -> str:
            fields = hidden(dict(form.fields))  # S3 does not look at those behind the file either
            allowed = storage.verify_presigned("POST", fields.get("key", ""), fields.get("token", ""))
            return await storage.upload_presigned(allowed, content, content_type=fields.get("Content-Type"))

        form = FormReader(request, store, max_files=1)
        await form.read()
        if not form.files:
            raise InvalidArgumentException("the form holds no file", operation="upload_presigned")
        return await answer(form.files[0][1], 204)

    return router
