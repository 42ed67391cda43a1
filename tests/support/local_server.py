"""LocalStorage over HTTP on a real socket: the route that its presigned URLs and forms need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from async_storages import InvalidArgumentException, LocalStorage, StorageException
from async_storages.naming import content_disposition

SECRET = "a secret of the tests"


@asynccontextmanager
async def served(
    root: Path, make: type[LocalStorage] = LocalStorage, secret_key: Any = SECRET, **options: Any
) -> AsyncIterator[LocalStorage]:
    """An open storage whose `base_url` works, on a free port of 127.0.0.1."""
    app = web.Application()
    runner = web.AppRunner(app)
    routes = _Routes()
    app.router.add_route("*", "/files/{key:.*}", routes.by_key)
    app.router.add_post("/files", routes.post)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/files"
        async with make(root, base_url, secret_key, **options) as routes.storage:
            yield routes.storage
    finally:
        await runner.cleanup()


class _Routes:
    storage: LocalStorage

    async def by_key(self, request: web.Request) -> web.StreamResponse:
        answer = {"GET": self.get, "HEAD": self.get, "PUT": self.put, "DELETE": self.delete}[request.method]
        return await _refusing(partial(answer, request))

    async def post(self, request: web.Request) -> web.StreamResponse:
        return await _refusing(partial(self.upload_form, request))

    def allowed(self, request: web.Request) -> Any:
        key, token = request.match_info["key"], request.query.get("token", "")
        return self.storage.verify_presigned(request.method, key, token)

    async def get(self, request: web.Request) -> web.StreamResponse:
        allowed = self.allowed(request)
        info = await self.storage.stat(allowed.key)
        response = web.StreamResponse()
        response.headers["Content-Type"] = allowed.content_type or info.content_type
        response.headers["X-Content-Type-Options"] = "nosniff"
        if allowed.disposition:
            filename = allowed.filename or info.file_name
            response.headers["Content-Disposition"] = content_disposition(filename, allowed.disposition)
        response.content_length = info.file_size
        await response.prepare(request)
        if request.method == "GET":
            async for chunk in self.storage.stream(allowed.key):
                await response.write(chunk)
        return response

    async def put(self, request: web.Request) -> web.Response:
        await self.storage.upload_presigned(
            self.allowed(request),
            request.content.iter_any(),
            content_type=request.headers.get("Content-Type"),
            content_length=request.content_length,
        )
        return web.Response(status=201)

    async def delete(self, request: web.Request) -> web.Response:
        await self.storage.delete(self.allowed(request).key)
        return web.Response(status=204)

    async def upload_form(self, request: web.Request) -> web.Response:
        fields: dict[str, str] = {}
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name == "file":
                allowed = self.storage.verify_presigned("POST", fields.get("key", ""), fields.get("token", ""))
                await self.storage.upload_presigned(allowed, _chunks(part), content_type=fields.get("Content-Type"))
                return web.Response(status=204)
            fields[part.name or ""] = await part.text()
        raise InvalidArgumentException("the form has no part 'file'")


async def _refusing(answer: Any) -> web.StreamResponse:
    try:
        return await answer()
    except StorageException as error:
        return web.Response(status=error.http_status, text=str(error))


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk():
        yield chunk
