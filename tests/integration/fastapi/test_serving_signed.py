"""The presigned URLs of a folder, served by the application itself: what `test_contract.py` does not ask of all."""

import gzip
import re
from itertools import product

import pytest
from fastapi import FastAPI

from async_storages import FallbackStorage, InvalidArgumentException, LocalStorage, MirroredStorage, UploadOptions
from async_storages.integrations.fastapi import (
    StoredFileResponse,
    register_exception_handlers,
    signed_downloads,
    signed_uploads,
)
from tests.support.uvicorn_server import asking


@pytest.fixture
async def storage(tmp_path):
    async with LocalStorage(tmp_path / "files", base_url="/signed", secret_key="a secret of the tests") as storage:
        yield storage


@pytest.fixture
async def client(storage):
    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(signed_downloads(storage), prefix="/signed")

    @app.get("/documents/{key:path}")
    async def redirect(key: str):
        return StoredFileResponse(storage.file(key))

    async with asking(app, follow_redirects=True) as client:
        yield client


async def test_a_url_gives_ranges_and_keeps_conditions(storage, client):
    await storage.upload(b"0123456789", "照片 #1.txt")
    url = storage.presign("照片 #1.txt")
    whole = await client.get(url)
    part = await client.get(url, headers={"Range": "bytes=1-2", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, b"12")
    assert (await client.get(url, headers={"If-None-Match": whole.headers["ETag"]})).status_code == 304


async def test_no_cache_keeps_it_longer_than_its_url(storage, client):
    await storage.upload(b"content", "a.txt")
    assert (await client.get(storage.presign("a.txt"))).headers["Cache-Control"] == "private, no-cache"


async def test_a_redirect_leads_here(storage, client):
    await storage.upload(b"\x89PNG\r\n\x1a\n", "照片.png")
    answer = await client.get("/documents/照片.png")
    [redirect] = answer.history
    assert redirect.headers["Location"].startswith("/signed/%E7%85%A7%E7%89%87.png?token=")
    assert (answer.content, answer.headers["Content-Type"]) == (b"\x89PNG\r\n\x1a\n", "image/png")
    assert answer.headers["Content-Disposition"].startswith("inline;")


async def test_nothing_that_runs_is_shown_whatever_the_url_says(storage, client):
    await storage.upload(b"<html><script>alert(1)</script>", "a.html")
    headers = (await client.get(storage.presign("a.html", disposition="inline"))).headers
    assert headers["Content-Disposition"] == 'attachment; filename="a.html"'
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_missing_file_is_not_found(storage, client):
    assert (await client.get(storage.presign("missing.txt"))).json()["code"] == "file_not_found"


REFUSED = {
    "no token": "/signed/a.txt",
    "an empty token": "/signed/a.txt?token=",
    "nonsense": "/signed/a.txt?token=a.b.c",
    "another spelling of the key": "/signed//a.txt?{token}",
    "a key that leads out": "/signed/..%2F..%2Fetc%2Fpasswd?{token}",
    "no key": "/signed/?{token}",
}


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED)
async def test_whatever_was_not_signed_is_refused(storage, client, asked):
    await storage.upload(b"secret content", "a.txt")
    path = asked.format(token=storage.presign("a.txt").partition("?")[2])
    answer = await client.get(client.base_url.copy_with(raw_path=path.encode()))
    assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")


# ---- upload options


SERVED = UploadOptions(
    cache_control="public, max-age=86400, immutable",
    content_disposition="attachment; filename*=UTF-8''%E7%85%A7%E7%89%87.txt",
    content_encoding="gzip",
    content_language="de",
)


async def test_a_file_is_served_with_what_it_was_stored_with(storage, client):
    await storage.upload(gzip.compress(b"content"), "a.txt", content_type="text/plain", options=SERVED)
    url = storage.presign("a.txt", expires_in=600)
    answer = await client.get(url)
    assert answer.content == b"content"
    said = {name: answer.headers[name] for name in ("Content-Encoding", "Content-Language", "Content-Type")}
    assert said == {"Content-Encoding": "gzip", "Content-Language": "de", "Content-Type": "text/plain"}
    named = "attachment; filename=\"__.txt\"; filename*=UTF-8''%E7%85%A7%E7%89%87.txt"
    assert answer.headers["Content-Disposition"] == named
    kept = re.fullmatch(r"private, max-age=(\d+)", answer.headers["Cache-Control"])
    assert 0 < int(kept[1]) <= 600
    named = await client.get(storage.presign("a.txt", filename="b.txt"))
    assert named.headers["Content-Disposition"] == 'attachment; filename="b.txt"'


async def test_what_a_storage_says_counts_for_its_presigned_uploads(tmp_path, client, storage):
    storage.upload_options = UploadOptions(cache_control="max-age=60")
    await storage.upload_presigned(storage.verify_presigned("PUT", "a.txt", _token(storage)), b"content")
    assert (await storage.info("a.txt")).cache_control == "max-age=60"


def _token(storage):
    return storage.presign("a.txt", method="PUT").partition("token=")[2]


async def test_two_folders_as_one_are_refused_when_the_routes_are_made(tmp_path):
    options = {"base_url": "/signed", "secret_key": "a secret of the tests"}
    new, old = LocalStorage(tmp_path / "new", **options), LocalStorage(tmp_path / "old", **options)
    for make, routes in product([FallbackStorage, MirroredStorage], [signed_downloads, signed_uploads]):
        async with make(new, old) as combined:
            with pytest.raises(InvalidArgumentException, match=f"take a LocalStorage, not a {make.__name__}.*primary"):
                routes(combined)
