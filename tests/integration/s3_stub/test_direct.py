"""What browsers are given, on servers that differ."""

import json
from base64 import b64decode
from xml.etree import ElementTree as ET

import pytest

from async_storages.errors import StorageOperationException
from async_storages.testing.contract.http import form, request
from async_storages.testing.s3_stub import Behaviours
from tests.support.s3 import FAST

SERVERS = ["aws", "ceph16", "r2", "swift"]
KEYS = ["plain.txt", "合同.txt", "🎉.png", "é ü.txt", 'quote".txt']


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_form_is_taken_whatever_the_name(on, server, key):
    stub, storage = await on(server)
    made = await storage.presign_post(storage.get_name(key), max_size=10)
    body, content_type = form(made.fields, b"content")
    assert (await request("POST", made.url, body, content_type=content_type)).status == 201
    assert stub.object(storage.get_name(key)).data == b"content"


async def test_a_policy_holds_characters_as_they_are(on):
    _, storage = await on()
    policy = b64decode((await storage.presign_post("🎉 合同.png")).fields["policy"])
    assert "🎉 合同.png".encode() in policy
    assert {"key": "🎉 合同.png"} in json.loads(policy)["conditions"]


@pytest.mark.parametrize("server", SERVERS)
async def test_the_answer_to_a_form_tells_the_etag(on, server):
    stub, storage = await on(server)
    made = await storage.presign_post("a.txt", max_size=10)
    body, content_type = form(made.fields, b"content")
    answer = await request("POST", made.url, body, content_type=content_type)
    root = ET.fromstring(answer.body)
    [etag] = [child.text for child in root if child.tag.rpartition("}")[2] == "ETag"]
    assert etag == stub.object("a.txt").etag


@pytest.mark.parametrize("server", SERVERS)
async def test_a_form_stores_with_the_acl_and_class_of_the_storage(on, server):
    stub, storage = await on(server, default_acl="public-read", storage_class="STANDARD_IA")
    made = await storage.presign_post("a.txt", max_size=10)
    body, content_type = form(made.fields, b"content")
    await request("POST", made.url, body, content_type=content_type)
    held = stub.object("a.txt")
    assert (held.acl, held.headers["x-amz-storage-class"]) == ("public-read", "STANDARD_IA")


@pytest.mark.parametrize("server", SERVERS)
async def test_a_presigned_put_stores_with_the_acl_and_class_of_the_storage(on, server):
    stub, storage = await on(server, default_acl="public-read", storage_class="STANDARD_IA")
    url, headers = storage.presign("a.txt", method="PUT"), storage.presigned_headers()
    assert (await request("PUT", url, b"content", headers=headers)).status == 200
    held = stub.object("a.txt")
    assert (held.acl, held.headers["x-amz-storage-class"]) == ("public-read", "STANDARD_IA")
    assert (await request("PUT", url, b"other")).status == 403
    assert (await request("PUT", url, b"other", headers={**headers, "x-amz-acl": "private"})).status == 403
    assert stub.object("a.txt") == held


async def test_a_public_file_is_read_without_a_signature(on):
    _, storage = await on("ceph16", default_acl="public-read")
    stored = await storage.save(b"content", "a.txt")
    assert (await request("GET", await stored.get_path())).body == b"content"


# ---- buckets


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "de"])
async def test_a_bucket_is_made_where_the_server_has_no_such_region(stub_of, region):
    stub = await stub_of("ceph16")
    async with stub.storage("photos", region_name=region, options=FAST) as storage:
        await storage.bucket_admin.create()
        await storage.bucket_admin.create()
        assert await storage.bucket_admin.exists()
    assert stub.buckets()["photos"].region is None


async def test_a_bucket_is_made_in_its_region_where_there_is_one(stub_of):
    stub = await stub_of(Behaviours(regions=("eu-west-1",)))
    async with stub.storage("photos", region_name="eu-west-1", options=FAST) as storage:
        await storage.bucket_admin.create()
    assert stub.buckets()["photos"].region == "eu-west-1"


async def test_another_failure_to_make_a_bucket_is_told(stub_of):
    stub = await stub_of(Behaviours(refuses=("content-md5",)))
    async with stub.storage("photos", region_name="eu-west-1", options=FAST) as storage:
        with pytest.raises(StorageOperationException, match="501"):
            await storage.bucket_admin.create()
    assert "photos" not in stub.buckets()
