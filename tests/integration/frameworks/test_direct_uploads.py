"""Uploads straight to the storage, begun in Starlette and in Litestar; tests/integration/fastapi has the hard cases."""

import pytest

from async_storages import LocalStorage, MemoryStorage
from tests.support.direct import FILM, PNG, SECRET, InParts, a_day_later, by_form, held_by
from tests.support.frameworks import uploads_of
from tests.support.uvicorn_server import asking


async def by_put(client, content, name):
    wanted = {"filename": name, "size": len(content), "method": "PUT"}
    begun = (await client.post("/uploads", json=wanted)).json()
    return await client.put(begun["url"], content=content, headers=begun["headers"]), begun["key"]


async def by_uppy(client, content, name):
    begun = (await client.get("/uploads/s3/params", params={"filename": name, "type": "text/html"})).json()
    assert (begun["method"], begun["expires"]) == ("POST", 3600)
    sent = await client.post(begun["url"], data=begun["fields"], files={"file": ("blob", content)})
    return sent, begun["fields"]["key"]


WAYS = {"form": by_form, "put": by_put, "uppy": by_uppy}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_an_upload_becomes_a_file_once_and_its_owners(make_app, storage, way):
    async with asking(make_app(storage), headers={"X-User": "anna"}) as client:
        sent, key = await way(client, PNG, "../照片.png")
        assert sent.status_code in {200, 201, 204}
        assert sent.headers["ETag"]

        stolen = await client.post("/attach", json={"key": key}, headers={"X-User": "ben"})
        assert (stolen.status_code, stolen.json()["code"]) == (403, "access_denied")

        attached = await client.post("/attach", json={"key": key})
        file = storage.file(attached.json()["file_id"])
        assert (file.filename, await file.read()) == ("照片.png", PNG)
        assert await held_by(storage) == [file.file_id]

        again = await client.post("/attach", json={"key": key})
        assert (again.status_code, again.json()["code"]) == (404, "file_not_found")


async def test_what_the_content_is_not_is_removed(make_app, storage):
    async with asking(make_app(storage)) as client:
        _, key = await by_form(client, b"<!DOCTYPE html><script>alert(1)</script>", "cat.png")
        answer = await client.post("/attach", json={"key": key})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_file_type")
        assert await held_by(storage) == []


async def test_parts_become_a_file(make_app, storage):
    async with asking(make_app(storage)) as client:
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        await upload.send(2, b"the end")
        listed = (await upload.ask("GET")).json()
        assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, len(FILM)), (2, 7)]
        assert {part["PartNumber"]: part["ETag"] for part in listed} == upload.etags

        done = await upload.complete()
        assert (done.status_code, done.json()["key"]) == (200, upload.key)
        attached = await client.post("/attach", json={"key": upload.key})
        assert await storage.file(attached.json()["file_id"]).read() == FILM + b"the end"


async def test_parts_are_given_up_or_forgotten(make_app, storage):
    async with asking(make_app(storage)) as client:
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        gone = await upload.ask("DELETE")
        assert (gone.status_code, gone.json()) == (200, {})
        assert (await upload.ask("GET")).json()["code"] == "file_not_found"

        await (await InParts.begin(client)).send(1, FILM)
        with a_day_later():
            assert await uploads_of(storage).remove_expired() == 1
        assert await held_by(storage) == []


REFUSED = {
    "no name": ("POST", "/uploads", {"json": {}}, 400),
    "a form": ("POST", "/uploads", {"data": {"filename": "a.png"}}, 400),
    "no JSON": ("POST", "/uploads", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    "an extension": ("POST", "/uploads", {"json": {"filename": "setup.exe"}}, 400),
    "a size": ("POST", "/uploads", {"json": {"filename": "a.png", "size": 1 << 40}}, 413),
    "a negative size": ("POST", "/uploads", {"json": {"filename": "a.png", "size": -1}}, 400),
    "a PUT without a size": ("POST", "/uploads", {"json": {"filename": "a.png", "method": "PUT"}}, 400),
    "no name for Uppy": ("GET", "/uploads/s3/params", {}, 400),
    "no key": ("GET", "/uploads/s3/multipart/1/1", {}, 400),
    "another's key": ("GET", "/uploads/s3/multipart/1/1?key=pending/a.png", {}, 403),
    "part 0": ("GET", "/uploads/s3/multipart/1/0?key=a", {}, 400),
    "part 10001": ("GET", "/uploads/s3/multipart/1/10001?key=a", {}, 400),
    "no parts": ("POST", "/uploads/s3/multipart/1/complete?key=a", {"json": {"parts": []}}, 400),
    "a body without an end": (
        "POST",
        "/uploads",
        {"content": b" " * (12 << 20), "headers": {"Content-Type": "application/json"}},
        413,
    ),
}


@pytest.mark.parametrize(("method", "path", "options", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_request_that_cannot_be_right_is_refused(make_app, tmp_path, method, path, options, status):
    storage = LocalStorage(tmp_path / "files", base_url="/stored", secret_key=SECRET)
    async with asking(make_app(storage)) as client:
        answer = await client.request(method, path, **options)
        assert answer.status_code == status
        assert await held_by(storage) == []


async def test_a_storage_that_takes_no_parts_says_so(make_app):
    async with asking(make_app(MemoryStorage())) as client:
        answer = await client.post("/uploads/s3/multipart", json={"filename": "film.mp4"})
    assert (answer.status_code, "in one piece" in answer.text) == (404, True)


SIGNED = {
    "no token": ("GET", "/stored/a.txt"),
    "nonsense": ("GET", "/stored/a.txt?token=a.b.c"),
    "a key that leads out": ("GET", "/stored/..%2F..%2Fetc%2Fpasswd?{token}"),
    "another method": ("DELETE", "/stored/a.txt?{token}"),
    "an upload": ("PUT", "/stored/a.txt?{token}"),
    "a form": ("POST", "/stored"),
}


@pytest.mark.parametrize(("method", "path"), SIGNED.values(), ids=SIGNED)
async def test_whatever_was_not_signed_is_refused(make_app, tmp_path, method, path):
    storage = LocalStorage(tmp_path / "files", base_url="/stored", secret_key=SECRET)
    async with asking(make_app(storage)) as client:
        await storage.upload(b"secret", "a.txt")
        url = path.format(token=storage.presign("a.txt").partition("?")[2])
        form = {"files": {"file": b"x"}} if method == "POST" else {}
        answer = await client.request(method, client.base_url.copy_with(raw_path=url.encode()), **form)
        assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")
        assert await storage.file("a.txt").read() == b"secret"


async def test_a_presigned_delete_deletes(make_app, tmp_path):
    storage = LocalStorage(tmp_path / "files", base_url="/stored", secret_key=SECRET)
    async with asking(make_app(storage)) as client:
        await storage.upload(b"old", "folder/a b.txt")
        assert (await client.delete(storage.presign("folder/a b.txt", method="DELETE"))).status_code == 204
        assert await held_by(storage) == []
