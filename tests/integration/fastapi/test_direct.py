"""Uploads straight to the storage, as browsers do them, on a real server and on the routes that stand in for it."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI, Header
from pydantic import BaseModel

from async_storages import (
    FileTypeConfig,
    FileValidatorImpl,
    InvalidFileTypeException,
    LocalStorage,
    MemoryStorage,
    StorageException,
    events,
)
from async_storages.integrations.fastapi import pending_keys
from async_storages.integrations.fastapi.direct import DirectUploads
from async_storages.integrations.fastapi.direct_routes import direct_router
from async_storages.integrations.fastapi.handlers import register_exception_handlers
from async_storages.integrations.fastapi.local import signed_uploads
from tests.support.corpus import image
from tests.support.forms import CONTENT_TYPE, field, file, form
from tests.support.raw_http import connected
from tests.support.s3 import open_uploads, s3_storage
from tests.support.uvicorn_server import served

SECRET = "a secret of the uploads"
MIB = 1 << 20
PNG = image("PNG")
HTML = b"<!DOCTYPE html><script>alert(1)</script>"
RULES = FileValidatorImpl(FileTypeConfig(blacklist=["exe"]), max_file_size=12 * MIB)


class Attached(BaseModel):
    key: str


async def user(x_user: str | None = Header(default=None)) -> str | None:
    return x_user


@asynccontextmanager
async def client_of(storage, **options):
    """A client of an application whose uploads go to the storage, and of the storage itself."""
    uploads = DirectUploads(storage, SECRET, **{"folder": "photos", "validator": RULES, **options})
    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(direct_router(uploads, owner=user))
    if isinstance(storage, LocalStorage):
        app.include_router(signed_uploads(storage), prefix="/stored")

    @app.post("/attach")
    async def attach(body: Attached, x_user: str | None = Header(default=None)) -> dict[str, str]:
        return {"file_id": (await uploads.attach(body.key, owner=x_user)).file_id}

    async with storage, served(app) as url, httpx.AsyncClient(base_url=url) as client:
        yield client, uploads


async def held_by(storage):
    return sorted([info.file_id async for info in storage.list()])


# ---- how browsers send a file; each gives the answer of the storage and the key to hand back


async def by_form(client, content, name, size=None):
    begun = (await client.post("/uploads", json={"filename": name, "size": size})).json()
    return await send_form(client, begun, content), begun["key"]


async def by_put(client, content, name, size=None):
    wanted = {"filename": name, "size": len(content) if size is None else size, "method": "PUT"}
    begun = (await client.post("/uploads", json=wanted)).json()
    return await client.put(begun["url"], content=content, headers=begun["headers"]), begun["key"]


async def by_uppy(client, content, name):
    begun = (await client.get("/uploads/s3/params", params={"filename": name, "type": "text/html"})).json()
    assert begun["method"] == "POST"
    return await send_form(client, begun, content), begun["fields"]["key"]


async def send_form(client, begun, content):
    return await client.post(begun["url"], data=begun["fields"], files={"file": ("blob", content)})


WAYS = {"form": by_form, "put": by_put, "uppy": by_uppy}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("owner", [None, "anna"])
async def test_an_upload_becomes_a_file_once(storage, way, owner):
    headers = {} if owner is None else {"X-User": owner}
    async with client_of(storage) as (client, _):
        client.headers.update(headers)
        sent, key = await way(client, PNG, "../照片.png")
        assert sent.status_code in {200, 204}
        assert sent.headers["etag"]
        pending = await held_by(storage)

        answer = await client.post("/attach", json={"key": key})
        again = await client.post("/attach", json={"key": key})

        attached = storage.file(answer.json()["file_id"])
        assert await held_by(storage) == [attached.file_id] != pending
        assert (await attached.read(), attached.filename) == (PNG, "照片.png")
        assert attached.name.startswith("photos/")
        assert (await attached.get_info()).content_type == "image/png"
        assert (again.status_code, again.json()["code"]) == (404, "file_not_found")


async def test_a_storage_that_keeps_to_a_prefix_keeps_all_of_it_there(s3_server, s3_bucket):
    storage = s3_storage(s3_server, s3_bucket, prefix="tenant")
    async with client_of(storage) as (client, uploads):
        _, key = await by_uppy(client, PNG, "cat.png")
        assert key.startswith("tenant/pending/")
        attached = await uploads.attach(key)
        assert attached.name.startswith("tenant/photos/")
        assert await held_by(storage) == [attached.file_id]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_storage_that_presigns_nothing_says_so(method):
    async with client_of(MemoryStorage()) as (client, _):
        body = {"filename": "cat.png", "size": 1, "method": method}
        assert (await client.post("/uploads", json=body)).status_code == 501


async def test_of_many_who_attach_at_once_one_succeeds(storage):
    async with client_of(storage) as (client, uploads):
        _, key = await by_form(client, PNG, "cat.png")
        outcomes = await asyncio.gather(*[uploads.attach(key) for _ in range(5)], return_exceptions=True)
        files = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        assert {type(outcome).__name__ for outcome in outcomes if outcome not in files} <= {
            "FileExistsException",
            "FileNotFoundException",
        }
        assert await held_by(storage) == [file.file_id for file in files]


# ---- what the signature fixes


async def longer_put(client):
    return (await by_put(client, PNG, "cat.png", len(PNG) - 1))[0]


async def other_size(client):
    return (await by_form(client, PNG, "cat.png", len(PNG) + 1))[0]


async def too_large(client):
    return (await by_uppy(client, bytes(12 * MIB + 1), "cat.png"))[0]


async def other_type(client):
    begun = (await client.post("/uploads", json={"filename": "cat.png", "size": len(PNG), "method": "PUT"})).json()
    return await client.put(begun["url"], content=PNG, headers={"Content-Type": "text/html"})


async def other_type_in_a_form(client):
    begun = (await client.post("/uploads", json={"filename": "cat.png"})).json()
    begun["fields"]["Content-Type"] = "text/html"
    return await send_form(client, begun, PNG)


async def other_key(client):
    begun = (await client.post("/uploads", json={"filename": "cat.png"})).json()
    begun["fields"]["key"] = "photos/mine.png"
    return await send_form(client, begun, PNG)


FIXED = [longer_put, other_size, too_large, other_type, other_type_in_a_form, other_key]


@pytest.mark.parametrize("send", FIXED, ids=lambda send: send.__name__)
async def test_what_was_signed_cannot_be_changed(storage, send):
    async with client_of(storage) as (client, _):
        assert 400 <= (await send(client)).status_code < 500
        assert await held_by(storage) == []


# ---- what attaching refuses


CONTENTS = {
    "html-as-image": ("cat.png", HTML, 400),
    "pdf-as-image": ("cat.png", b"%PDF-1.7\n", 400),
    "bytes-as-image": ("cat.png", bytes(100), 400),
    "type-not-let-in": ("page.html", HTML, 400),
    "too-large": ("big.bin", bytes(2000), 413),
}


@pytest.mark.parametrize(("name", "content", "status"), CONTENTS.values(), ids=CONTENTS)
async def test_content_that_is_not_let_in_is_removed(storage, name, content, status):
    rules = FileValidatorImpl(FileTypeConfig(type_blacklist=["text/html"]), max_file_size=1000)
    async with client_of(storage, validator=None) as (client, _):  # one that asked for nothing
        _, key = await by_form(client, content, name)
        strict = DirectUploads(storage, SECRET, folder="photos", validator=rules)
        with pytest.raises(StorageException) as refused:
            await strict.attach(key)
        assert refused.value.http_status == status
        assert await held_by(storage) == []


GOOD = {
    "csv": ("a.csv", b"a,b\n"),
    "no-extension": ("README", PNG),
    "empty": ("empty.txt", b""),
    "md": ("a.md", b"# a"),
}


@pytest.mark.parametrize(("name", "content"), GOOD.values(), ids=GOOD)
async def test_content_that_does_not_contradict_its_name_is_let_in(storage, name, content):
    async with client_of(storage) as (client, uploads):
        _, key = await by_form(client, content, name)
        assert await (await uploads.attach(key)).read() == content


async def test_only_whom_it_was_given_to_may_attach_an_upload(storage):
    async with client_of(storage) as (client, _):
        client.headers["X-User"] = "anna"
        _, key = await by_form(client, PNG, "cat.png")
        before = await held_by(storage)
        raw = before[0].partition("photos/")
        for wrong in (key[:-1], "photos/" + raw[2], f"pending/{raw[2]}", before[0], "", "x"):
            assert (await client.post("/attach", json={"key": wrong})).status_code == 403
        client.headers["X-User"] = "ben"
        assert (await client.post("/attach", json={"key": key})).status_code == 403
        assert await held_by(storage) == before


ERRORS = {
    "attach": lambda uploads, key: uploads.attach(key),
    "list": lambda uploads, key: uploads.list_parts(key, "x" * 32),
    "complete": lambda uploads, key: uploads.complete_parts(key, "x" * 32, {1: "x"}),
    "sign": lambda uploads, key: uploads.sign_part(key, "x", 0),
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS)
async def test_no_error_shows_a_signature(storage, call):
    async with client_of(storage) as (_, uploads):
        begun = await uploads.start("cat.png")
        with pytest.raises(StorageException, match=r"photos/[0-9a-f]{16}_cat\.png") as failed:
            await call(uploads, begun.key)
        signature = begun.key.split("/")[1]
        assert signature not in f"{failed.value} {failed.value.file_id} {begun!r}"


@pytest.mark.parametrize(("replaced_after", "is_attached"), [("stat", False), ("copy", True)])
async def test_a_file_that_is_replaced_meanwhile_is_not_attached_unseen(
    storage, replaced_after, is_attached, no_blocking_calls
):
    async with client_of(storage) as (client, uploads):
        _, key = await by_form(client, PNG, "cat.png")
        no_blocking_calls.deactivate()
        replaced = []

        def replace(event):
            if event.operation == replaced_after:
                events.hooks.remove(replace)
                replaced.append(overwrite(storage, key, HTML))

        events.hooks.append(replace)
        if is_attached:
            assert await (await uploads.attach(key)).read() == PNG
        else:
            with pytest.raises(InvalidFileTypeException, match="text/html"):
                await uploads.attach(key)
            assert await held_by(storage) == []
        assert replaced


def overwrite(storage, key, content):
    """At once, as another process may."""
    if isinstance(storage, LocalStorage):
        return storage.root.joinpath(key).write_bytes(content)
    file_id = f"s3:{storage.bucket}/{key}"
    return httpx.put(storage.presign(file_id, method="PUT"), content=content).raise_for_status()


REFUSED = {
    "extension": ({"filename": "a.exe"}, 400),
    "size": ({"filename": "a.png", "size": 12 * MIB + 1}, 413),
    "put-without-size": ({"filename": "a.png", "method": "PUT"}, 400),
    "method": ({"filename": "a.png", "method": "DELETE"}, 422),
    "no-name": ({}, 422),
    "negative": ({"filename": "a.png", "size": -1}, 422),
}


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED)
async def test_what_is_not_let_in_does_not_begin(storage, body, status):
    async with client_of(storage) as (client, _):
        assert (await client.post("/uploads", json=body)).status_code == status


# ---- uploads in parts, as Uppy asks for them


class InParts:
    """One upload in parts."""

    def __init__(self, client, begun):
        self.client, self.key, self.upload_id = client, begun["key"], begun["uploadId"]
        self.etags = {}

    @classmethod
    async def begin(cls, client, name="film.mp4"):
        body = {"filename": name, "type": "text/html", "metadata": {"name": name}}
        return cls(client, (await client.post("/uploads/s3/multipart", json=body)).json())

    async def ask(self, method, path="", **options):
        params = {"key": self.key}
        return await self.client.request(
            method, f"/uploads/s3/multipart/{self.upload_id}{path}", params=params, **options
        )

    async def send(self, number, content):
        url = (await self.ask("GET", f"/{number}")).json()["url"]
        self.etags[number] = (await self.client.put(url, content=content)).headers["etag"]

    async def complete(self, etags=None):
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in (etags or self.etags).items()]
        return await self.ask("POST", "/complete", json={"parts": parts})


FILM = b"\0\0\0\x18ftypmp42" + bytes(5 * MIB - 12)


async def test_parts_become_a_file(storage):
    async with client_of(storage) as (client, uploads):
        upload = await InParts.begin(client)
        await upload.send(2, b"the end")
        await upload.send(1, FILM)
        listed = (await upload.ask("GET")).json()
        assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, len(FILM)), (2, 7)]
        assert {part["PartNumber"]: part["ETag"] for part in listed} == upload.etags

        unquoted = {number: etag.strip('"') for number, etag in upload.etags.items()}  # as newer Uppys say them
        done = (await upload.complete(unquoted)).json()
        assert done["key"] == upload.key
        assert done["location"].endswith("_film.mp4")
        attached = await uploads.attach(done["key"])
        assert await attached.read() == FILM + b"the end"
        assert (await attached.get_info()).content_type == "video/mp4"
        assert await held_by(storage) == [attached.file_id]
        assert (await upload.complete()).status_code == 404


async def test_parts_are_given_up(storage):
    async with client_of(storage) as (client, _):
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        for _ in range(2):
            assert (await upload.ask("DELETE")).json() == {}
        assert (await upload.ask("GET")).status_code == 404
        assert await held_by(storage) == []
        assert storage.scheme != "s3" or await open_uploads(storage) == []


async def test_parts_that_cannot_be_right_are_refused(storage):
    async with client_of(storage) as (client, _):
        upload = await InParts.begin(client)
        await upload.send(1, b"small")
        await upload.send(2, b"end")
        etag = upload.etags[1]
        statuses = {
            "too-small": (await upload.complete()).status_code,
            "other-etag": (await upload.complete({1: "x"})).status_code,
            "never-sent": (await upload.complete({1: etag, 3: etag})).status_code,
            "twice": (await upload.ask("POST", "/complete", json={"parts": 2 * [part(1, etag)]})).status_code,
            "none": (await upload.ask("POST", "/complete", json={"parts": []})).status_code,
            "number-0": (await upload.ask("GET", "/0")).status_code,
            "number-10001": (await upload.ask("GET", "/10001")).status_code,
        }
        assert statuses == {
            **dict.fromkeys(["too-small", "other-etag", "never-sent", "twice"], 400),
            **dict.fromkeys(["none", "number-0", "number-10001"], 422),
        }
        assert [file_id for file_id in await held_by(storage) if "/parts/" not in file_id] == []


def part(number, etag):
    return {"PartNumber": number, "ETag": etag}


async def test_parts_that_are_too_large_together_make_no_file(storage):
    async with client_of(storage, validator=FileValidatorImpl(max_file_size=len(FILM))) as (client, _):
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        await upload.send(2, b"x")
        assert (await upload.complete()).status_code == 413
        assert [file_id for file_id in await held_by(storage) if "/parts/" not in file_id] == []


@pytest.mark.parametrize(
    "method_and_path", [("GET", ""), ("GET", "/1"), ("POST", "/complete"), ("DELETE", "")], ids=" ".join
)
async def test_parts_are_their_owners(storage, method_and_path):
    async with client_of(storage) as (client, _):
        client.headers["X-User"] = "anna"
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        client.headers["X-User"] = "ben"
        method, path = method_and_path
        body = {"json": {"parts": [part(1, upload.etags[1])]}} if method == "POST" else {}
        assert (await upload.ask(method, path, **body)).status_code == 403
        client.headers["X-User"] = "anna"
        upload.upload_id = "x" * 32
        if path != "/1" and method != "DELETE":
            assert (await upload.ask(method, path, **body)).status_code == 404


# ---- what nobody attaches


async def test_what_nobody_attaches_in_time_is_removed(storage, monkeypatch):
    async with client_of(storage) as (client, uploads):
        _, kept = await by_form(client, PNG, "kept.png")
        await by_form(client, PNG, "forgotten.png")
        foreign = await storage.upload(b"x", "pending/readme.txt")
        await InParts.begin(client)
        attached = await uploads.attach(kept)
        assert await uploads.remove_expired() == 0

        later = pending_keys.time.time() + 86_401
        monkeypatch.setattr(pending_keys, "time", SimpleNamespace(time=lambda: later))
        assert await uploads.remove_expired() == 2
        assert await held_by(storage) == sorted([attached.file_id, str(storage.identify(foreign))])
        assert storage.scheme != "s3" or await open_uploads(storage) == []


# ---- the routes of a folder


@pytest.fixture
def local(tmp_path):
    return LocalStorage(tmp_path / "files", base_url="/stored", secret_key=SECRET)


FORMS = {
    "no-token": form(field("key", "a.png"), file(PNG)),
    "file-first": form(file(PNG), field("key", "a.png")),
    "no-file": form(field("key", "a.png")),
    "malformed": b"--tests\r\n",
    "two-files": None,
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
async def test_a_form_that_is_not_signed_is_refused(local, body):
    async with client_of(local) as (client, _):
        status = 400 if body is None or b"filename" not in body else 403
        fields = (await local.presign_post("a.png")).fields
        body = body or form(*[field(name, value) for name, value in fields.items()], file(PNG), file(PNG))
        answer = await client.post("/stored", content=body, headers={"Content-Type": CONTENT_TYPE})
        assert answer.status_code == status
        assert await held_by(local) in ([], ["file:a.png"])


@pytest.mark.parametrize(
    "url",
    ["/stored/a.png", "/stored/a.png?token=x", "/stored/../../etc/passwd?token=x", "/stored/%2e%2e/x?token=x"],
)
async def test_a_put_that_is_not_signed_is_refused(local, url):
    async with client_of(local) as (client, _):
        assert (await client.put(url, content=PNG)).status_code in {403, 404}
        assert await held_by(local) == []


async def test_a_client_that_goes_while_it_puts_leaves_nothing(local, caplog):
    content = bytes(4 * MIB)
    async with client_of(local) as (client, _):
        url = local.presign("a.bin", method="PUT", content_type="text/plain", content_length=len(content))
        async with connected(str(client.base_url)) as connection:
            await connection.begin(url, len(content), "text/plain", "PUT")
            await connection.send(content[: 2 * MIB])
    async with local:
        assert await held_by(local) == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_the_schema_shows_the_routes():
    app = FastAPI()
    app.include_router(direct_router(DirectUploads(LocalStorage("files"), SECRET)))
    assert len(app.openapi()["paths"]) == 6
