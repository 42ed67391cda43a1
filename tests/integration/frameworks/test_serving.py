"""Stored files as answers of Starlette and Litestar; tests/integration/fastapi has the hard cases."""

import asyncio

import httpx
import pytest

from async_storages import ChecksumMismatchException, MemoryStorage, events
from async_storages.serving.problems import MEDIA_TYPE
from tests.support.frameworks import FRAMEWORKS
from tests.support.patience import HANGS
from tests.support.raw_http import connected
from tests.support.s3 import s3_storage
from tests.support.uvicorn_server import asking, served

CONTENT = b"0123456789"

CASES = {
    "no range": ("GET", {}, 200, None, CONTENT),
    "the first bytes": ("GET", {"Range": "bytes=0-3"}, 206, "bytes 0-3/10", b"0123"),
    "the last bytes": ("GET", {"Range": "bytes=-3"}, 206, "bytes 7-9/10", b"789"),
    "a beginning at the end": ("GET", {"Range": "bytes=10-"}, 416, "bytes */10", b""),
    "malformed": ("GET", {"Range": "bytes=a-b"}, 200, None, CONTENT),
    "HEAD has no range": ("HEAD", {"Range": "bytes=0-3"}, 200, None, b""),
    "a range of this state": ("GET", {"Range": "bytes=0-3", "If-Range": "ETAG"}, 206, "bytes 0-3/10", b"0123"),
    "a range of another state": ("GET", {"Range": "bytes=0-3", "If-Range": '"other"'}, 200, None, CONTENT),
    "the client has it": ("GET", {"If-None-Match": '"x", W/ETAG', "Range": "bytes=0-3"}, 304, None, b""),
    "not modified since": ("HEAD", {"If-Modified-Since": "MODIFIED"}, 304, None, b""),
    "of another state": ("GET", {"If-Match": '"other"'}, 412, None, b""),
}


@pytest.mark.parametrize(("method", "headers", "status", "content_range", "body"), CASES.values(), ids=CASES)
async def test_ranges_and_conditions(make_app, storage, method, headers, status, content_range, body):
    async with asking(make_app(storage, mode="proxy")) as client:
        await storage.upload(CONTENT, "folder/digits.txt")
        whole = (await client.get("/files/folder/digits.txt")).headers
        asked = {
            name: value.replace("ETAG", whole["ETag"]).replace("MODIFIED", whole["Last-Modified"])
            for name, value in headers.items()
        }
        answer = await client.request(method, "/files/folder/digits.txt", headers=asked)

    assert (answer.status_code, answer.headers.get("Content-Range"), answer.content) == (status, content_range, body)
    assert (answer.headers["ETag"], answer.headers["Last-Modified"]) == (whole["ETag"], whole["Last-Modified"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    length = None if status == 304 else str(len(CONTENT) if method == "HEAD" else len(body))
    assert answer.headers.get("Content-Length") == length
    assert answer.headers["Set-Cookie"].startswith("seen=yes")  # of the route
    if status in {200, 206}:
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["Content-Disposition"] == 'inline; filename="digits.txt"'


async def test_headers_of_the_route_come_first(make_app):
    storage = MemoryStorage()
    await storage.upload(CONTENT, "digits.txt")
    own = {"Cache-Control": "public, max-age=60", "Content-Type": "text/csv", "X-Own": "1"}
    async with asking(make_app(storage, headers=own)) as client:
        answer = await client.get("/files/digits.txt")
    assert {name: answer.headers.get_list(name) for name in own} == {name: [value] for name, value in own.items()}


async def test_a_redirect_leads_to_the_file(make_app, storage):
    png = b"\x89PNG\r\n\x1a\n"
    async with asking(make_app(storage), follow_redirects=True) as client:
        await storage.upload(png, "folder/照片 1.png")
        answer = await client.get("/files/folder/照片 1.png")
        [redirect] = answer.history
        assert (redirect.status_code, redirect.headers["Content-Length"]) == (307, "0")
        assert (answer.content, answer.headers["Content-Type"]) == (png, "image/png")
        assert (await client.head("/files/folder/照片 1.png")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/files/missing.txt", 404, "file_not_found"),
        ("/nothing", 404, "file_not_found"),
        ("/broken", 503, "storage_unavailable"),
    ],
)
async def test_errors_are_problems_that_tell_strangers_nothing(make_app, storage, caplog, path, status, code):
    async with asking(make_app(storage, mode="proxy")) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
    assert not [text for text in ("10.0.0.7", "secret-bucket", "missing.txt") if text in answer.text]
    assert ("10.0.0.7" in caplog.text) == (status == 503)


async def test_a_client_that_goes_releases_its_connection_to_s3(make_app, s3_server, s3_bucket):
    ended, storage = asyncio.Queue(), s3_storage(s3_server, s3_bucket)
    hook = lambda event: event.operation == "stream" and ended.put_nowait(event)  # noqa: E731
    events.hooks.append(hook)
    try:
        async with served(make_app(storage, mode="proxy")) as url, asyncio.timeout(HANGS):
            await storage.upload(bytes(32 << 20), "file.bin")
            async with connected(url) as client:
                await client.send(b"GET /files/file.bin HTTP/1.1\r\nHost: test\r\n\r\n")
                assert await client.status() == 200
                assert ended.empty()
            event = await ended.get()
    finally:
        events.hooks.remove(hook)
    assert event.outcome in {"abandoned", "cancelled"}
    assert 0 < event.bytes < 32 << 20


class Damaged(MemoryStorage):
    """Finds out behind the last byte that a file was damaged."""

    async def stream(self, name, offset=0, length=None, *, chunk_size=65_536):
        async for chunk in super().stream(name, offset, length, chunk_size=chunk_size):
            yield chunk
        raise ChecksumMismatchException("crc32")


async def test_what_fails_later_is_never_taken_for_whole(make_app):
    storage = Damaged()
    await storage.upload(CONTENT, "digits.txt")
    async with asking(make_app(storage, mode="proxy")) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/files/digits.txt")


async def test_litestar_describes_the_routes_of_an_application_that_serves_files():
    app = FRAMEWORKS["litestar"](MemoryStorage(), {})
    assert {"get", "head"} <= app.openapi_schema.to_schema()["paths"]["/files/{key}"].keys()
