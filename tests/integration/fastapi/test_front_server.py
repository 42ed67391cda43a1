"""Files of a folder sent by the web server in front: a real nginx with the location of the guide."""

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from async_storages import InvalidArgumentException, LocalStorage, MemoryStorage
from async_storages.integrations.fastapi import (
    StoredFileResponse,
    XAccelRedirect,
    XSendfile,
    register_exception_handlers,
    signed_downloads,
)
from tests.support.corpus import GOOD_NAMES
from tests.support.nginx import PROGRAM, nginx
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import asking, served

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "serve.md"
NGINX = XAccelRedirect("/stored-files")
CONTENT = b"0123456789"


@pytest.fixture
async def storage(tmp_path):
    async with LocalStorage(tmp_path / "files", base_url="/signed", secret_key="a secret") as storage:
        yield storage


def application(storage, front_server, **options):
    app = FastAPI()
    register_exception_handlers(app)
    if isinstance(storage, LocalStorage):
        app.include_router(signed_downloads(storage, front_server), prefix="/signed")

    @app.api_route("/files/{key:path}", methods=["GET", "HEAD", "POST"])
    async def read(key: str):
        return StoredFileResponse(storage.file(key), front_server=front_server, **options)

    return app


def location_of_the_guide(root):
    [block] = re.findall(r"```nginx\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert block.count("/srv/files/") == 2
    return block.replace("/srv/files/", f"{root}/")


@pytest.fixture
async def client(storage):
    if PROGRAM is None:
        pytest.skip("nginx is not installed")
    app = application(storage, NGINX)
    async with served(app) as url:
        with nginx(url, location_of_the_guide(storage.root)) as front:
            async with httpx.AsyncClient(base_url=front, timeout=TIME_OUT) as client:
                yield client


async def test_nginx_sends_the_file_under_the_type_and_name_that_the_application_says(storage, client):
    await storage.upload(b"\x89PNG\r\n\x1a\n", "folder/photo.png")
    await storage.upload(b"<html><script>", "folder/page.png")  # stored as HTML
    picture, page = [await client.get(f"/files/folder/{name}.png") for name in ("photo", "page")]
    assert (picture.status_code, picture.content) == (200, b"\x89PNG\r\n\x1a\n")
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.headers["Content-Disposition"] == 'inline; filename="photo.png"'
    assert picture.headers["Cache-Control"] == "private, no-cache"
    assert page.headers["Content-Disposition"] == 'attachment; filename="page.png"'
    assert page.headers["Content-Type"] == "text/html"
    for answer in (picture, page):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["Server"].startswith("nginx")
        assert "X-Accel-Redirect" not in answer.headers


async def test_nginx_answers_ranges_conditions_and_head(storage, client):
    await storage.upload(CONTENT, "a.txt")
    whole = await client.get("/files/a.txt")
    part = await client.get("/files/a.txt", headers={"Range": "bytes=2-4"})
    known = await client.get("/files/a.txt", headers={"If-None-Match": whole.headers["ETag"]})
    head = await client.head("/files/a.txt")
    assert (part.status_code, part.content) == (206, b"234")
    assert known.status_code == 304
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")


@pytest.mark.parametrize("key", GOOD_NAMES)
async def test_nginx_finds_every_name(storage, client, key):
    await storage.upload(key.encode(), f"folder/{key}")
    [url] = storage.presign_many([f"folder/{key}"])
    answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, key.encode())


async def test_what_is_missing_is_missing_by_the_application(client):
    answer = await client.get("/files/missing.txt")
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")


async def test_nobody_asks_nginx_for_files_himself(storage, client):
    await storage.upload(CONTENT, "a.txt", metadata={"a": "b"})
    for path in ("a.txt", ".async_storages/lock", "%2e%2e/a.txt"):
        assert (await client.get(f"/stored-files/{path}")).status_code == 404


# ---- the header, without a server


@pytest.mark.parametrize(
    ("front_server", "name", "value"),
    [
        (NGINX, "X-Accel-Redirect", "/stored-files/a%20b/%E7%85%A7%3F%25.txt"),
        (XAccelRedirect("/"), "X-Accel-Redirect", "/a%20b/%E7%85%A7%3F%25.txt"),
        (XSendfile(), "X-Sendfile", "{root}/a%20b/%E7%85%A7%3F%25.txt"),
    ],
)
async def test_the_server_in_front_is_told_by_a_header(storage, front_server, name, value):
    path = storage.root / "a b"
    await storage.upload(b"x", "made.txt")
    path.mkdir()
    (path / "照?%.txt").write_bytes(CONTENT)
    async with asking(application(storage, front_server, max_age=5)) as client:
        answer = await client.get("/files/a%20b/%E7%85%A7%3F%25.txt")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers[name] == value.format(root=storage.root)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Cache-Control"] == "private, max-age=5"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_files_elsewhere_are_answered_as_ever():
    storage = MemoryStorage()
    await storage.upload(CONTENT, "a.txt")
    async with asking(application(storage, NGINX)) as client:
        answer = await client.get("/files/a.txt")
    assert answer.content == CONTENT
    assert "X-Accel-Redirect" not in answer.headers


async def test_a_redirect_that_is_asked_for_is_one(storage):
    await storage.upload(CONTENT, "a.txt")
    async with asking(application(storage, NGINX, mode="redirect")) as client:
        answer = await client.get("/files/a.txt")
    assert answer.status_code == 307


@pytest.mark.parametrize("key", ["../secret.txt", ".async_storages/lock", "link.txt"])
async def test_nothing_is_handed_over_that_is_no_file_of_the_storage(storage, tmp_path, key):
    await storage.upload(CONTENT, "a.txt")
    (tmp_path / "secret.txt").write_text("secret")
    (storage.root / "link.txt").symlink_to(tmp_path / "secret.txt")
    async with asking(application(storage, NGINX)) as client:
        answer = await client.get(f"/files/{key.replace('.', '%2e')}")
    assert answer.status_code in {400, 403, 404}
    assert "X-Accel-Redirect" not in answer.headers


@pytest.mark.parametrize("location", ["stored-files", "", None])
def test_a_location_that_is_none_is_refused(location):
    with pytest.raises(InvalidArgumentException, match="begins with a slash"):
        XAccelRedirect(location)
