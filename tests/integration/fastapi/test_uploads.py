"""Forms streamed to their storage, through a real uvicorn, by clients that behave and clients that do not."""

import asyncio
from inspect import signature
from itertools import pairwise

import httpx
import pytest
from fastapi import FastAPI, Request

from async_storages import FileTypeConfig, FileValidator, StorageManager
from async_storages.integrations.fastapi import register_exception_handlers, stream_upload
from tests.support.forms import CONTENT_TYPE, field, file, form, part
from tests.support.patience import TIME_OUT
from tests.support.raw_http import connected
from tests.support.s3 import open_uploads
from tests.support.uvicorn_server import served

MIB = 1 << 20
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
async def manager(storage):
    async with StorageManager.from_storages(storage) as manager:
        yield manager


HAS_BODY_LIMIT = "max_body_size" in signature(FastAPI.post).parameters  # from FastAPI 0.164 on


def body_limit(size):
    if size is not None and not HAS_BODY_LIMIT:
        pytest.skip("this FastAPI has no max_body_size")
    return {"max_body_size": size} if HAS_BODY_LIMIT else {}


def application(manager, *, max_body_size=None, **options):
    """An application with one route, which says what it has stored."""
    app = FastAPI()
    register_exception_handlers(app)

    @app.post("/upload", **body_limit(max_body_size))
    async def upload(request: Request):
        stored = await stream_upload(request, manager, **options)
        return {
            "files": [[name, attach.model_dump()] for name, attach in stored.files.multi_items()],
            "fields": stored.fields.multi_items(),
        }

    return app


async def post(url, body, content_type=CONTENT_TYPE):
    async with httpx.AsyncClient(base_url=url, timeout=TIME_OUT) as client:
        return await client.post("/upload", content=body, headers={"Content-Type": content_type})


async def left_in(storage):
    """All that the storage holds, unfinished uploads included."""
    found = [info.file_id async for info in storage.list()]
    return found + (await open_uploads(storage) if storage.scheme == "s3" else [])


async def test_files_and_fields_of_a_form_arrive(manager):
    contents = {"big": bytes(range(256)) * 40_000, "empty": b""}
    body = form(
        field("title", "Söhne"),
        file(contents["big"], "../../big.bin", "documents"),
        file(b"", "", "avatar"),
        field("title", "two"),
        file(contents["empty"], "写真.jpg", "documents"),
    )

    async with served(application(manager, folder="forms", metadata={"by": "test"})) as url:
        answer = (await post(url, body)).json()

    assert answer["fields"] == [["title", "Söhne"], ["title", "two"]]
    assert [(name, attach["file_name"]) for name, attach in answer["files"]] == [
        ("documents", "big.bin"),
        ("documents", "写真.jpg"),
    ]
    for (_, attach), content in zip(answer["files"], contents.values(), strict=True):
        assert await manager.download_service.download_bytes(attach["file_id"]) == content
        assert manager.file(attach["file_id"]).name.startswith("forms/")
        assert (await manager.info_service.get_file_info(attach["file_id"])).metadata == {"by": "test"}


async def test_the_file_goes_to_its_storage_while_it_arrives(manager):
    seen, half = [], asyncio.Event()

    def watch(progress):
        seen.append(progress)
        if progress.received >= 10 * MIB:
            half.set()

    body = form(file(bytes(20 * MIB), "film.mp4"))
    async with served(application(manager, on_progress=watch)) as url, connected(url) as client:
        await client.begin("/upload", len(body), CONTENT_TYPE)
        await client.send(body[: 11 * MIB])
        await half.wait()  # the rest is sent only when the application has had this
        await client.send(body[11 * MIB :])
        assert await client.status() == 200

    received = [progress.received for progress in seen]
    assert received == sorted(received)
    assert (seen[-1].file_name, seen[-1].received, seen[-1].request_size) == ("film.mp4", 20 * MIB, len(body))
    assert max(after - before for before, after in pairwise(received)) <= MIB


async def test_a_form_whose_length_is_not_told(manager):
    seen = []

    async def body():
        for byte in form(file(PNG, "a.png")):
            yield bytes([byte])

    async with served(application(manager, on_progress=seen.append)) as url:
        answer = await post(url, body())

    assert answer.status_code == 200
    assert (seen[-1].received, seen[-1].request_size) == (len(PNG), None)


GOOD = file(b"good", "good.txt")
HOSTILE = {
    "part-without-a-name": form(GOOD, part(b"x", 'form-data; filename="a.txt"')),
    "part-without-a-disposition": form(GOOD, part(b"x", None)),
    "1001-parts": form(GOOD, *[field("a", "b")] * 1000),
    "missing-final-boundary": form(GOOD, file(b"x"))[: -len("--tests--\r\n")],
    "cut-in-a-file": form(GOOD, file(bytes(MIB)))[:-1000],
    "two-filenames": form(GOOD, part(b"x", 'form-data; name="f"; filename="a.txt"; filename="b.php"')),
    "filename-and-filename*": form(GOOD, part(b"x", 'form-data; name="f"; filename="a"; filename*=UTF-8\'\'b.php')),
    "file-without-a-name": form(GOOD, file(b"x", "")),
    "filename-not-utf-8": form(GOOD, part(b"x", 'form-data; name="f"; filename="\udcff.txt"')),
    "text-not-utf-8": form(GOOD, part(b"\xff", 'form-data; name="f"')),
    "too-many-files": form(GOOD, *[file(b"x")] * 3),
    "empty": b"",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_form_that_cannot_be_right_is_refused_and_leaves_nothing(manager, body):
    async with served(application(manager, max_files=3)) as url:
        answer = await post(url, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
    assert await left_in(manager.default_storage) == []


async def test_a_form_of_two_boundaries_is_refused(manager):
    two = [("Content-Type", CONTENT_TYPE), ("Content-Type", "multipart/form-data; boundary=other")]
    async with served(application(manager)) as url, httpx.AsyncClient(base_url=url, timeout=TIME_OUT) as client:
        assert (await client.post("/upload", content=form(GOOD), headers=two)).status_code == 400


ONLY_PNG = FileValidator(FileTypeConfig(type_whitelist=["image/png"]))
UNWELCOME = {
    "type": (form(file(PNG, "a.png"), file(b"<html>", "b.png")), {"validator": ONLY_PNG}, 400),
    "size": (form(GOOD, file(bytes(2 * MIB))), {"validator": FileValidator(max_file_size=MIB)}, 413),
    "text": (form(GOOD, field("a", "x" * MIB), field("b", "x")), {}, 413),
    "body": (form(GOOD, file(bytes(2 * MIB))), {"max_body_size": MIB}, 413),
}


@pytest.mark.parametrize(("body", "options", "status"), UNWELCOME.values(), ids=UNWELCOME)
async def test_what_is_not_let_in_leaves_nothing(manager, body, options, status):
    async with served(application(manager, **options)) as url:
        assert (await post(url, body)).status_code == status

    assert await left_in(manager.default_storage) == []


async def test_a_file_that_is_too_large_is_refused_before_it_has_arrived(manager):
    options = {"validator": FileValidator(max_file_size=MIB)}
    async with served(application(manager, **options)) as url, connected(url) as client:
        await client.begin("/upload", 1 << 40, CONTENT_TYPE)
        await client.send(form(file(bytes(2 * MIB)))[: 2 * MIB])
        assert await client.status() == 413

    assert await left_in(manager.default_storage) == []


async def test_a_declared_length_is_not_waited_for_once_the_form_is_complete(manager):
    body = form(GOOD)
    async with served(application(manager)) as url, connected(url) as client:
        await client.begin("/upload", len(body) + 1000, CONTENT_TYPE)
        await client.send(body)
        assert await client.status() == 200


async def test_a_declared_length_that_cuts_the_form_is_refused(manager):
    body = form(GOOD)
    async with served(application(manager)) as url, connected(url) as client:
        await client.begin("/upload", len(body) - 8, CONTENT_TYPE)
        await client.send(body)
        assert await client.status() == 400

    assert await left_in(manager.default_storage) == []


async def test_an_upload_that_is_cancelled_leaves_nothing_behind(manager):
    messages = [{"type": "http.request", "body": form(GOOD, file(bytes(MIB), "film.mp4"))[:-1000], "more_body": True}]
    second = asyncio.Event()

    async def receive():
        return messages.pop() if messages else await asyncio.Event().wait()

    def watch(progress):
        if progress.file_name == "film.mp4":
            second.set()

    request = Request({"type": "http", "headers": [(b"content-type", CONTENT_TYPE.encode())]}, receive)
    uploading = asyncio.create_task(stream_upload(request, manager, on_progress=watch))
    await second.wait()
    assert [info.file_size async for info in manager.default_storage.list()] == [len(b"good")]
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading

    assert await left_in(manager.default_storage) == []


@pytest.mark.parametrize("sent", [0, 1000, 9 * MIB, 18 * MIB])
async def test_a_client_that_goes_leaves_nothing_behind(manager, caplog, sent):
    arrived = asyncio.Event()
    body = form(GOOD, file(bytes(20 * MIB), "film.mp4"))

    def watch(progress):
        if progress.file_name == "film.mp4" and progress.received > sent - 2000:
            arrived.set()

    async with served(application(manager, on_progress=watch)) as url, connected(url) as client:
        await client.begin("/upload", len(body), CONTENT_TYPE)
        await client.send(body[:sent])
        if sent:
            await arrived.wait()

    assert await left_in(manager.default_storage) == []
    assert [record.getMessage() for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []
