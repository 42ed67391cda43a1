"""Uploads in parts, as Uppy does them, on a real server and on the routes that stand in for it."""

import asyncio

import pytest

from async_storages import FileValidator, MemoryStorage
from tests.support.direct import FILM, InParts, a_day_later, client_of, held_by, part
from tests.support.s3 import open_uploads


@pytest.mark.parametrize("folder_of", [(), ("tenants", "acme")], ids=["", "of a tenant"])
async def test_parts_become_a_file(storage, folder_of):
    async with client_of(storage, folder_of) as (client, uploads):
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


async def test_parts_that_are_completed_twice_at_once_are_one_file(storage):
    async with client_of(storage) as (client, uploads):
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        answers = await asyncio.gather(*[upload.complete() for _ in range(3)])
        statuses = [answer.status_code for answer in answers]
        assert 200 in statuses
        assert set(statuses) <= {200, 400, 404}
        attached = await uploads.attach(upload.key)
        assert await attached.read() == FILM
        assert await held_by(storage) == [attached.file_id]


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
        assert not await storage.exists(upload.key)


HOSTILE = ["..", "%2e%2e", ".", "%00", "x", "0" * 32, "%F0%9F%98%80", "a" * 4000, "..%5c.."]


async def test_an_upload_that_never_began_is_not_found(storage):
    async with client_of(storage) as (client, _):
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        begun, statuses = upload.upload_id, {}
        for upload.upload_id in HOSTILE:
            answers = [await upload.ask("GET"), await upload.ask("DELETE"), await upload.complete()]
            statuses[upload.upload_id] = [answer.status_code for answer in answers]
        assert {id_: got for id_, got in statuses.items() if max(got) >= 500 or got[2] not in {400, 404, 405}} == {}
        upload.upload_id = begun
        assert len((await upload.ask("GET")).json()) == 1


IMPOSSIBLE = {
    "too many": ([part(number, "x") for number in range(1, 10_002)], 422),
    "never came": ([part(number, "x") for number in range(1, 10_001)], 400),
    "an endless etag": ([part(1, "x" * (1 << 20))], 400),
    "other types": ([part("1", ["x"]), part(None, {})], 422),
}


async def test_a_list_of_parts_that_cannot_be_is_refused(storage):
    async with client_of(storage) as (client, _):
        upload = await InParts.begin(client)
        await upload.send(1, b"x")
        for label, (parts, status) in IMPOSSIBLE.items():
            answer = await upload.ask("POST", "/complete", json={"parts": parts})
            assert (label, answer.status_code) == (label, status)


async def test_parts_that_are_too_large_together_make_no_file(storage):
    """Also where an upload was begun under other rules than it is completed under."""
    async with client_of(storage, validator=FileValidator()) as (client, uploads):
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        await upload.send(2, b"x")
        uploads._validator = FileValidator(max_file_size=len(FILM))
        assert (await upload.complete()).status_code == 413
        assert not await storage.exists(upload.key)


LIMIT = len(FILM) + 1000


@pytest.fixture
async def limited(storage):
    """A client that may upload no more than `LIMIT` bytes, and an upload that has begun."""
    async with client_of(storage, validator=FileValidator(max_file_size=LIMIT)) as (client, _):
        yield client, await InParts.begin(client)


@pytest.mark.parametrize("sent", [b"x" * 999, b"x" * 1001, b""], ids=["less", "more", "nothing"])
async def test_a_part_has_the_size_that_was_signed(storage, limited, sent):
    client, upload = limited
    answer = await client.put(await upload.url_of(1, 1000), content=sent)
    assert answer.status_code in {400, 403, 413}
    assert (await upload.ask("GET")).json() == []
    assert (await client.put(await upload.url_of(1, 1000), content=b"x" * 1000)).is_success


@pytest.mark.parametrize(("number", "size"), [(1, LIMIT + 1), (2, 1001), (3, 1), (3, 0)])
async def test_no_part_is_signed_that_would_make_the_file_too_large(limited, number, size):
    answer = await limited[1].sign(number, size)
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


async def test_a_part_whose_size_is_not_said_is_limited_or_refused(storage, limited):
    client, upload = limited
    answer = await upload.sign(1)
    if storage.scheme == "s3":  # which signs no largest size
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
    else:
        sent = await client.put(answer.json()["url"], content=b"x" * (LIMIT + 1))
        assert sent.status_code == 413
        assert (await upload.ask("GET")).json() == []


async def test_parts_of_any_size_can_be_allowed(storage):
    rules = FileValidator(max_file_size=LIMIT)
    async with client_of(storage, validator=rules, unsized_parts=True) as (client, _):
        upload = await InParts.begin(client)
        assert (await client.put(await upload.url_of(1), content=FILM + bytes(2000))).is_success
        etag = (await upload.ask("GET")).json()[0]["ETag"]
        assert (await upload.complete({1: etag})).status_code == 413


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


# ---- storages that take none


async def test_a_storage_that_takes_no_parts_says_so():
    async with client_of(MemoryStorage()) as (client, uploads):
        answer = await client.post("/uploads/s3/multipart", json={"filename": "film.mp4"})
        assert (answer.status_code, "one piece" in answer.json()["detail"]) == (404, True)
        assert await uploads.remove_expired() == 0


# ---- what nobody completes


async def test_parts_that_nobody_completes_are_removed_in_time(storage):
    async with client_of(storage) as (client, uploads):
        upload = await InParts.begin(client)
        await upload.send(1, FILM)
        assert await uploads.remove_expired() == 0
        assert (await upload.complete()).status_code == 200

        await (await InParts.begin(client)).send(2, FILM)
        with a_day_later():
            assert await uploads.remove_expired() == 2
        assert await held_by(storage) == []
        assert storage.scheme != "s3" or await open_uploads(storage) == []


async def test_a_part_that_comes_after_the_end_does_not_stay(storage):
    """Its URL is still good: S3 refuses it, a folder takes it."""
    async with client_of(storage) as (client, uploads):
        upload = await InParts.begin(client)
        url = await upload.url_of(1, len(b"late"))
        await upload.ask("DELETE")
        await client.put(url, content=b"late")
        late = await held_by(storage)

        fresh = await InParts.begin(client)
        await fresh.send(1, FILM)
        assert await uploads.remove_expired() == 0
        assert set(late) <= set(await held_by(storage))
        assert (await fresh.complete()).status_code == 200
        await uploads.attach(fresh.key)

        with a_day_later():
            assert await uploads.remove_expired() == len(late)
        assert set(late).isdisjoint(await held_by(storage))
