"""Uploads straight to the storage, as browsers do them, on a real server and on the routes that stand in for it."""

import asyncio
from itertools import chain

import httpx
import pytest
from fastapi import FastAPI

from async_storages import (
    AccessDeniedException,
    FileTypeConfig,
    FileValidator,
    LocalStorage,
    MemoryStorage,
    StorageException,
    StoredImage,
    events,
)
from async_storages.integrations.fastapi import DirectUploads, direct_router
from tests.support.corpus import image
from tests.support.direct import MIB, PNG, SECRET, by_form, client_of, held_by, send_form
from tests.support.forms import CONTENT_TYPE, field, file, form
from tests.support.patience import TIME_OUT
from tests.support.raw_http import connected
from tests.support.s3 import s3_storage

HTML = b"<!DOCTYPE html><script>alert(1)</script>"


# ---- how browsers send a file; each gives the answer of the storage and the key to hand back


async def by_put(client, content, name, size=None):
    wanted = {"filename": name, "size": len(content) if size is None else size, "method": "PUT"}
    begun = (await client.post("/uploads", json=wanted)).json()
    return await client.put(begun["url"], content=content, headers=begun["headers"]), begun["key"]


async def by_uppy(client, content, name):
    begun = (await client.get("/uploads/s3/params", params={"filename": name, "type": "text/html"})).json()
    assert begun["method"] == "POST"
    return await send_form(client, begun, content), begun["fields"]["key"]


WAYS = {"form": by_form, "put": by_put, "uppy": by_uppy}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("owner", [None, "anna"])
async def test_an_upload_becomes_a_file_once(storage, way, owner):
    headers = {} if owner is None else {"X-User": owner}
    async with client_of(storage) as (client, _):
        client.headers.update(headers)
        sent, key = await way(client, PNG, "../照片.png")
        assert sent.status_code in {200, 201, 204}
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


@pytest.mark.parametrize(
    ("content", "dimensions"),
    [(image("PNG", (30, 20)), (30, 20)), (image("PNG", (300, 200)) + bytes(70_000), (300, 200)), (PNG[:20], None)],
    ids=["small", "large", "cut off"],
)
async def test_an_attached_image_knows_its_dimensions(storage, content, dimensions):
    async with client_of(storage) as (client, uploads):
        _, key = await by_form(client, content, "cat.png")
        assert StoredImage.of(await uploads.attach(key)).known_dimensions == dimensions


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
    "extension": ("cat.jpeg", b"\xff\xd8\xff\xe0", 400),
}


@pytest.mark.parametrize(("name", "content", "status"), CONTENTS.values(), ids=CONTENTS)
async def test_content_that_is_not_let_in_is_removed(storage, name, content, status):
    types = FileTypeConfig(type_blacklist=["text/html"], blacklist=["jpeg"])
    rules = FileValidator(types, max_file_size=1000)
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


OTHERS = {"folder": {"folder": "invoices"}, "pending": {"pending": "elsewhere"}}


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS)
async def test_an_upload_is_attached_by_those_uploads_that_it_began_with(storage, options):
    async with client_of(storage) as (client, uploads):
        _, key = await by_form(client, PNG, "cat.png")
        with pytest.raises(AccessDeniedException):
            await DirectUploads(storage, SECRET, **{"folder": "photos", **options}).attach(key)
        assert await (await uploads.attach(key)).read() == PNG


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


REPLACED = {
    "unlike-its-name": ("stat", HTML, 400),
    "too-large": ("stat", PNG + bytes(2000), 413),
    "too-late": ("copy", HTML, None),
}


@pytest.mark.parametrize(("moment", "content", "status"), REPLACED.values(), ids=REPLACED)
async def test_a_file_that_is_replaced_meanwhile_is_not_attached_unseen(
    storage, moment, content, status, no_blocking_calls
):
    async with client_of(storage, validator=FileValidator(max_file_size=1000)) as (client, uploads):
        _, key = await by_form(client, PNG, "cat.png")
        no_blocking_calls.deactivate()
        replaced = []

        def replace(event):
            if event.operation == moment:
                events.hooks.remove(replace)
                replaced.append(overwrite(storage, key, content))

        events.hooks.append(replace)
        if status is None:
            assert await (await uploads.attach(key)).read() == PNG
        else:
            with pytest.raises(StorageException) as refused:
                await uploads.attach(key)
            assert refused.value.http_status == status
            assert await held_by(storage) == []
        assert replaced


def overwrite(storage, key, content):
    """At once, as another process may."""
    if isinstance(storage, LocalStorage):
        return storage.root.joinpath(key).write_bytes(content)
    file_id = f"s3:{storage.bucket}/{key}"
    return httpx.put(storage.presign(file_id, method="PUT"), content=content, timeout=TIME_OUT).raise_for_status()


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


def signed_put(local, content=PNG):
    return local.presign("a.png", method="PUT", content_type="image/png", content_length=len(content))


async def chunks(content):
    yield content[:10]
    yield content[10:]


@pytest.mark.parametrize(("content", "status"), [(PNG, 200), (PNG + b"x", 413), (PNG[:-1], 400)], ids=["", "+", "-"])
async def test_a_put_that_does_not_say_its_size_is_counted(local, content, status):
    async with client_of(local) as (client, _):
        headers = {"Content-Type": "image/png", "Transfer-Encoding": "chunked"}
        sent = await client.put(signed_put(local), content=chunks(content), headers=headers)
        assert sent.status_code == status
        assert await held_by(local) == (["file:a.png"] if status == 200 else [])


async def test_of_two_puts_at_once_one_is_there_whole(local):
    contents = [bytes([number]) * MIB for number in range(2)]
    async with client_of(local) as (client, _):
        url = signed_put(local, contents[0])
        headers = {"Content-Type": "image/png"}
        sent = await asyncio.gather(*[client.put(url, content=content, headers=headers) for content in contents])
        assert {answer.status_code for answer in sent} == {200}
        assert await local.read("a.png") in contents


async def test_a_put_through_a_link_is_refused(local, tmp_path):
    async with client_of(local) as (client, _):
        await local.upload(b"x", "b.png")
        (tmp_path / "files" / "out").symlink_to(tmp_path)
        url = local.presign("out/a.png", method="PUT")
        assert (await client.put(url, content=PNG)).status_code == 403
        assert not (tmp_path / "a.png").exists()


def test_the_schema_tells_what_each_route_is_for(local):
    app = FastAPI()
    app.include_router(direct_router(DirectUploads(local, SECRET)))
    schema = app.openapi()
    assert len(schema["paths"]) == 6
    operations = list(chain.from_iterable(path.values() for path in schema["paths"].values()))
    assert [operation["summary"] for operation in operations if not operation.get("description")] == []
    models = schema["components"]["schemas"]
    assert [name for name in models if name.startswith("_") or not models[name].get("description")] == [
        "HTTPValidationError",
        "ValidationError",
    ]
