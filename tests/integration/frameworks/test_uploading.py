"""Forms that are streamed to their storage in Starlette and Litestar; hard cases are in tests/integration/fastapi."""

import httpx
import pytest

from async_storages.serving.problems import MEDIA_TYPE
from tests.support.direct import PNG, held_by
from tests.support.forms import CONTENT_TYPE, field, file, form
from tests.support.raw_http import connected
from tests.support.s3 import open_uploads
from tests.support.uvicorn_server import asking, served

MIB = 1 << 20
FILM = bytes(range(256)) * 4096 * 12  # more than Litestar takes unless it is told to


async def post(client, path, body):
    return await client.post(path, content=body, headers={"Content-Type": CONTENT_TYPE})


async def left_in(storage):
    """All that the storage holds, unfinished uploads included."""
    return await held_by(storage) + (await open_uploads(storage) if storage.scheme == "s3" else [])


async def test_files_and_fields_of_a_form_arrive(make_app, storage):
    body = form(
        field("title", "Söhne"), file(FILM, "../../film.bin", "film"), file(b"", "", "none"), file(PNG, "照片.png")
    )
    async with asking(make_app(storage)) as client:
        answer = await post(client, "/upload", body)
        assert answer.status_code == 200
        told = answer.json()
        assert told["fields"] == [["title", "Söhne"]]
        assert [name for name, _ in told["files"]] == ["film", "file"]
        stored = [storage.file(file_id) for _, file_id in told["files"]]
        assert [each.filename for each in stored] == ["film.bin", "照片.png"]
        assert [await each.read() for each in stored] == [FILM, PNG]


HOSTILE = {
    "cut short": ("/upload", form(file(PNG), file(bytes(MIB)))[:-1000], 400, "invalid_argument"),
    "no form": ("/upload", b"", 400, "invalid_argument"),
    "too many files": ("/upload", form(*[file(PNG)] * 4), 400, "invalid_argument"),
    "another type": ("/pictures", form(file(PNG, "a.png"), file(b"<html>", "b.png")), 400, "invalid_file_type"),
    "too large": ("/pictures", form(file(PNG, "a.png"), file(PNG + bytes(2 * MIB), "b.png")), 413, "file_too_large"),
}


@pytest.mark.parametrize(("path", "body", "status", "code"), HOSTILE.values(), ids=HOSTILE)
async def test_a_form_that_is_refused_leaves_nothing(make_app, storage, path, body, status, code):
    async with asking(make_app(storage)) as client:
        answer = await post(client, path, body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
        assert (answer.json()["code"], answer.json()["status"]) == (code, status)
        assert await left_in(storage) == []


async def test_a_client_that_goes_leaves_nothing_behind(make_app, storage, caplog):
    body = form(file(b"good", "good.txt"), file(FILM, "film.bin"))
    async with served(make_app(storage)) as url:
        async with connected(url) as client:
            await client.begin("/upload", len(body), CONTENT_TYPE)
            await client.send(body[: 9 * MIB])
        async with httpx.AsyncClient(base_url=url) as other:  # the server has seen the end of the first one
            assert (await other.get("/nothing")).status_code == 404
    async with storage:
        assert await left_in(storage) == []
    assert [record.getMessage() for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []
