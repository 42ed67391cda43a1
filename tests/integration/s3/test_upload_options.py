"""Upload options on real servers: SeaweedFS, which encrypts and locks; moto, which has keys of a service and ACLs."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from async_storages import (
    AccessDeniedException,
    CustomerKey,
    KmsEncryption,
    OperationNotSupportedException,
    S3Storage,
    StorageOperationException,
    UploadOptions,
)
from async_storages.backends.s3.wire import Request
from async_storages.integrations.fastapi import StoredFileResponse
from async_storages.testing.contract.http import form, request
from tests.support.direct import PNG, client_of, send_form
from tests.support.s3 import copy_in_parts

PART = 5 << 20
SIZES = pytest.mark.parametrize("size", [10, 9_000_000], ids=["whole", "in parts"])
KEY = CustomerKey(b"hidden-from-all-who-have-eyes...")
TIME = datetime(2027, 1, 1, tzinfo=UTC)

KEPT = {
    "served": (
        {
            "cache_control": "max-age=60, immutable",
            "content_disposition": 'attachment; filename="x.txt"',
            "content_encoding": "gzip",
            "content_language": "de",
            "expires": TIME,
        },
        {
            "Cache-Control": "max-age=60, immutable",
            "Content-Disposition": 'attachment; filename="x.txt"',
            "Content-Encoding": "gzip",
            "Content-Language": "de",
            "Expires": "Fri, 01 Jan 2027 00:00:00 GMT",
        },
    ),
    "AES256": ({"encryption": "AES256"}, {"x-amz-server-side-encryption": "AES256"}),
    "a customer's key": ({"encryption": KEY}, {"x-amz-server-side-encryption-customer-algorithm": "AES256"}),
    "tags": ({"tags": {"team": "web", "a b": "c&d"}}, {"x-amz-tagging-count": "2"}),
    "class": ({"storage_class": "STANDARD_IA"}, {"x-amz-storage-class": "STANDARD_IA"}),
}


async def has(storage, name, expected):
    found = await storage._find(storage.identify(name).key)
    assert {header: found.get(header) for header in expected} == expected


@SIZES
@pytest.mark.parametrize(("said", "expected"), KEPT.values(), ids=KEPT)
async def test_a_file_has_them_and_so_have_its_copies(storage, said, expected, size):
    content = b"x" * size
    storage = storage.with_upload_options(UploadOptions(**said))
    saved = await storage.save(content, "a.txt")
    await has(storage, saved, expected)
    assert await saved.read() == content
    assert [chunk async for chunk in storage.stream(saved, 3, 4)] == [b"xxxx"]
    await storage.set_metadata(saved, {"a": "b"})
    await has(storage, saved, expected)
    copied = await storage.copy(saved, "b.txt", overwrite=False)
    await has(storage, copied, expected)
    assert await storage.read(copied) == content


async def test_a_call_goes_before_the_storage(storage):
    storage = storage.with_upload_options(UploadOptions(cache_control="a", content_language="de"))
    await storage.upload(b"x", "a.txt", options=UploadOptions(cache_control="b"))
    info = await storage.info("a.txt")
    assert (info.cache_control, info.content_language) == ("b", "de")


async def test_what_is_known_of_a_file(storage):
    said, _ = KEPT["served"]
    await storage.upload(b"x", "a.txt", options=UploadOptions(**said))
    info = await storage.info("a.txt")
    assert {name: getattr(info, name) for name in said} == said


@pytest.mark.parametrize("name", ["served", "AES256", "class"])
async def test_presigned_uploads_carry_them(storage, name):
    said, expected = KEPT[name]
    said, expected = dict(said), dict(expected)
    storage = storage.with_upload_options(UploadOptions(**said))
    url = storage.presign("put.txt", method="PUT", content_type="text/plain")
    headers = storage.presigned_headers(content_type="text/plain")
    assert (await request("PUT", url, b"x", headers={"Content-Type": "text/plain"})).status == 403
    assert (await request("PUT", url, b"x", headers=headers)).status == 200
    await has(storage, "put.txt", expected)
    if said.pop("content_language", None):
        with pytest.raises(OperationNotSupportedException, match="content_language="):
            await storage.presign_post("form.txt")
        del expected["Content-Language"]
        storage = S3Storage.with_upload_options(storage, UploadOptions())
        storage.upload_options = UploadOptions(**said)
    made = await storage.presign_post("form.txt")
    body, content_type = form(made.fields, b"posted")
    assert (await request("POST", made.url, body, content_type=content_type)).status == 201
    await has(storage, "form.txt", expected)


# ---- a bucket that demands encryption


@pytest.fixture
async def strict(storage):
    """A storage whose bucket refuses what is not to be encrypted."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{storage.bucket}/*",
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}},
    }
    wire = storage._client.wire
    body = wire.body(json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode())
    await wire.exchange(Request(method="PUT", bucket=storage.bucket, query={"policy": ""}, body=body))
    with pytest.raises(AccessDeniedException):
        await storage.upload(b"x", "a.txt")
    return storage.with_upload_options(UploadOptions(encryption="AES256"))


async def test_a_policy_that_demands_encryption_is_satisfied(strict):
    """SeaweedFS asks it of parts as well, which AWS does not, and which AWS's parts must not say."""
    await strict.upload(b"x", "a.txt")
    await strict.copy("a.txt", "b.txt")
    await strict.set_metadata("a.txt", {"a": "b"})
    url = strict.presign("put.txt", method="PUT")
    assert (await request("PUT", url, b"x")).status == 403
    assert (await request("PUT", url, b"x", headers=strict.presigned_headers())).status == 200
    made = await strict.presign_post("form.txt")
    body, content_type = form(made.fields, b"posted")
    assert (await request("POST", made.url, body, content_type=content_type)).status == 201
    assert await strict.part_uploads.begin("parts.txt", content_type="text/plain")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_direct_uploads_are_attached_there(strict, method):
    async with client_of(strict) as (client, uploads):
        wanted = {"filename": "a.png", "size": len(PNG), "method": method}
        begun = (await client.post("/uploads", json=wanted)).json()
        if method == "POST":
            sent = await send_form(client, begun, PNG)
        else:
            sent = await client.put(begun["url"], content=PNG, headers=begun["headers"])
        assert sent.is_success
        file = await uploads.attach(begun["key"])
        assert await file.read() == PNG
        await has(strict, file, {"x-amz-server-side-encryption": "AES256"})


# ---- a customer's key


async def test_without_the_key_nothing_is_read(storage):
    keyed = storage.with_upload_options(UploadOptions(encryption=KEY))
    await keyed.upload(b"content", "a.txt")
    for attempt in (storage.read("a.txt"), storage.info("a.txt"), storage.copy("a.txt", "b.txt")):
        with pytest.raises(StorageOperationException) as caught:
            await attempt
        assert "hidden" not in str(caught.value)
    assert await keyed.read("a.txt") == b"content"
    await storage.delete("a.txt")


async def test_a_key_of_a_call_is_that_of_a_storage_for_reading(storage):
    options = UploadOptions(encryption=KEY)
    await storage.upload(b"content", "a.txt", options=options)
    assert await storage.with_upload_options(options).read("a.txt") == b"content"


async def test_large_files_with_a_key_are_copied_in_parts(moto, monkeypatch):
    """Which SeaweedFS does not know yet."""
    copy_in_parts(monkeypatch, PART, PART)
    keyed, content = moto.with_upload_options(UploadOptions(encryption=KEY)), bytes(range(256)) * 50_000
    await keyed.upload(content, "a.txt")
    await keyed.copy("a.txt", "b.txt")
    assert await keyed.read("b.txt") == content


async def test_a_response_goes_through_the_application_where_no_url_can(storage):
    keyed, app = storage.with_upload_options(UploadOptions(encryption=KEY)), FastAPI()
    file = await keyed.save(b"content", "a.txt")

    @app.get("/")
    async def download() -> StoredFileResponse:
        return StoredFileResponse(file)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.content) == (200, b"content")


# ---- locks


@SIZES
async def test_a_locked_file_cannot_be_deleted_for_good(storage, size):
    wire, bucket = storage._client.wire, f"test-{uuid4().hex}"
    headers = {"x-amz-bucket-object-lock-enabled": "true"}
    await wire.exchange(Request(method="PUT", bucket=bucket, headers=headers, body=wire.body(b"")))
    until = datetime.now(UTC) + timedelta(days=1)
    locked = storage.with_bucket(bucket)
    await locked.upload(b"x" * size, "a.txt", options=UploadOptions(lock_mode="COMPLIANCE", lock_until=until))
    found = await locked._find("a.txt")
    assert found["x-amz-object-lock-mode"] == "COMPLIANCE"
    version = found["x-amz-version-id"]
    with pytest.raises(AccessDeniedException):
        await wire.exchange(Request(method="DELETE", bucket=bucket, key="a.txt", query={"versionId": version}))


# ---- what only others have


@pytest.fixture
async def moto(moto_server):
    keys = {"aws_access_key_id": moto_server.access_key_id, "aws_secret_access_key": moto_server.secret_access_key}
    async with S3Storage(f"test-{uuid4().hex}", endpoint_url=moto_server.endpoint_url, **keys) as storage:
        await storage.bucket_admin.create()
        yield storage


@SIZES
async def test_keys_of_a_service_encrypt_a_file_and_its_copies(moto, size):
    expected = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "my-key",
    }
    options = UploadOptions(encryption=KmsEncryption(key_id="my-key", context={"a": "b"}))
    saved = await moto.save(b"x" * size, "a.txt", options=options)
    await has(moto, saved, expected)
    await has(moto, await moto.copy(saved, "b.txt"), expected)
    await moto.set_metadata(saved, {"a": "b"})
    await has(moto, saved, expected)
    other = moto.with_upload_options(UploadOptions(encryption=KmsEncryption(key_id="other")))
    await has(moto, await other.copy(saved, "c.txt"), expected | {[*expected][1]: "other"})


@SIZES
async def test_an_acl_opens_a_file(moto, size):
    public = moto.with_upload_options(UploadOptions(acl="public-read"))
    for name in (await public.save(b"x" * size, "a.txt"), await public.upload(b"x", "b.txt")):
        answer = await moto._client.wire.exchange(
            Request(method="GET", bucket=moto.bucket, key=moto.identify(name).key, query={"acl": ""})
        )
        assert b"AllUsers" in answer.body


async def test_moto_keeps_locks(moto):
    wire, bucket = moto._client.wire, f"test-{uuid4().hex}"
    headers = {"x-amz-bucket-object-lock-enabled": "true"}
    await wire.exchange(Request(method="PUT", bucket=bucket, headers=headers, body=wire.body(b"")))
    options = UploadOptions(lock_mode="GOVERNANCE", lock_until=datetime.now(UTC) + timedelta(days=1))
    await moto.with_bucket(bucket).upload(b"x", "a.txt", options=options)
    found = await moto.with_bucket(bucket)._find("a.txt")
    assert found["x-amz-object-lock-mode"] == "GOVERNANCE"


async def test_a_server_that_does_not_know_an_option_is_quoted_with_its_name(moto):
    with pytest.raises(StorageOperationException, match=r"InvalidTag; the upload options were tags="):
        await moto.upload(b"x", "a.txt", options=UploadOptions(tags={"a": "b&c"}))
