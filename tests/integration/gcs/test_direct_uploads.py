"""Uploads straight to Cloud Storage, as browsers do them, with `DirectUploads` in between."""

import httpx
import pytest
from aiohttp import ClientSession, FormData

from async_storages import FileExistsException, GCSStorage
from tests.support.direct import PNG, a_day_later, by_form, client_of, held_by, send_form
from tests.support.gcs import gcs_storage
from tests.support.gcs_accounts import service_account
from tests.support.google_servers import google_servers
from tests.support.patience import TIME_OUT

HTML = b"<!DOCTYPE html><script>alert(1)</script>"
HOSTILE = "a b/合同 1%41+'&#=~;.txt"


@pytest.fixture(params=["key", "IAM"])
async def storage(request, gate, gcs_bucket):
    """Of an account whose key is at hand, and of a machine of Google's, which has none."""
    if request.param == "key":
        yield gcs_storage(gate, gcs_bucket)
        return
    async with google_servers():
        gate.token = None
        yield GCSStorage(gcs_bucket, endpoint_url=gate.url)


async def by_put(client, content, name, /, **changes):
    begun = (await client.post("/uploads", json={"filename": name, "size": len(content), "method": "PUT"})).json()
    sent = {"content": content, "headers": begun["headers"], **changes}
    return await client.put(begun["url"], **sent), begun["key"]


@pytest.mark.parametrize("way", [by_form, by_put], ids=["form", "put"])
async def test_an_upload_becomes_a_file_once(storage, way):
    async with client_of(storage) as (client, _):
        sent, key = await way(client, PNG, "../照片.png")
        assert sent.status_code in {200, 204}

        answer = await client.post("/attach", json={"key": key})
        again = await client.post("/attach", json={"key": key})

        attached = storage.file(answer.json()["file_id"])
        assert await held_by(storage) == [attached.file_id]
        assert (await attached.read(), attached.filename) == (PNG, "照片.png")
        assert (await attached.get_info()).content_type == "image/png"
        assert again.status_code == 404


async def test_what_is_sent_to_the_form_again_reaches_no_file_that_is_attached(storage):
    async with client_of(storage) as (client, uploads):
        begun = (await client.post("/uploads", json={"filename": "cat.png"})).json()
        await send_form(client, begun, PNG)
        attached = await uploads.attach(begun["key"])
        for content in (HTML, PNG + b"other"):
            await send_form(client, begun, content)
            with pytest.raises(FileExistsException):
                await uploads.attach(begun["key"])
        assert await attached.read() == PNG


@pytest.mark.parametrize(
    "changes",
    [
        {"content": PNG + b"1"},
        {"content": PNG[:-1]},
        {"headers": {"Content-Type": "image/png"}},
        {"headers": {"Content-Type": "text/html", "x-goog-content-length-range": f"{len(PNG)},{len(PNG)}"}},
        {"headers": {"Content-Type": "image/png", "x-goog-content-length-range": "0,999999999"}},
    ],
    ids=["longer", "shorter", "without the range", "another type", "another range"],
)
async def test_a_put_keeps_to_what_was_signed(storage, changes):
    async with client_of(storage) as (client, _):
        sent, _ = await by_put(client, PNG, "cat.png", **changes)
        assert 400 <= sent.status_code < 500
        assert await held_by(storage) == []


async def test_what_the_content_is_not_is_removed(storage):
    async with client_of(storage) as (client, _):
        _, key = await by_form(client, HTML, "cat.png")
        assert (await client.post("/attach", json={"key": key})).status_code == 400
        assert await held_by(storage) == []


async def test_what_nobody_attaches_is_removed(storage):
    async with client_of(storage) as (client, uploads):
        _, attached = await by_form(client, PNG, "cat.png")
        await uploads.attach(attached)
        await by_put(client, PNG, "cat.png")
        with a_day_later():
            assert await uploads.remove_expired() == 1
        assert len(await held_by(storage)) == 1


async def test_uploads_in_parts_are_refused_for_what_they_are(storage):
    async with client_of(storage) as (client, _):
        answer = await client.post("/uploads/s3/multipart", json={"filename": "film.mp4", "metadata": {}})
        assert answer.status_code in {404, 501}


async def test_who_signs_with_another_key_is_refused(gate, gcs_bucket):
    forged = {**service_account(), "private_key": service_account("other@project")["private_key"]}
    async with (
        gcs_storage(gate, gcs_bucket) as storage,
        GCSStorage(gcs_bucket, endpoint_url=gate.url, service_account_info=forged) as forger,
        httpx.AsyncClient(timeout=TIME_OUT) as client,
    ):
        key = await storage.upload(b"content", "file.txt")
        await forger.prepare()
        assert (await client.get(storage.presign(key))).status_code == 200
        assert (await client.get(forger.presign(key))).status_code == 403
        form = await forger.presign_post("new.txt")
        assert (await client.post(form.url, data=form.fields, files={"file": b"1"})).status_code == 403


async def test_a_client_that_writes_urls_its_own_way_is_understood(storage):
    """aiohttp, unlike browsers, undoes what percent-encoding it thinks needless."""
    async with storage, ClientSession() as client:
        [put] = await storage.presigned_urls([HOSTILE], method="PUT", content_type="text/x-mine", content_length=5)
        headers = storage.presigned_headers(content_type="text/x-mine", content_length=5)
        async with client.put(put, data=b"12345", headers=headers) as answer:
            assert answer.status == 200
        [get] = await storage.presigned_urls([HOSTILE], filename="Söhne 1%.txt")
        async with client.get(get, headers={"Range": "bytes=1-2"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"23")
            assert "S%C3%B6hne%201%25.txt" in answer.headers["Content-Disposition"]
        form = await storage.presign_post(HOSTILE, max_size=5, content_type="text/plain")
        sent = FormData(form.fields)
        sent.add_field("file", b"54321", filename="x")
        async with client.post(form.url, data=sent) as answer:
            assert answer.status == 204
        assert await storage.read(HOSTILE) == b"54321"
