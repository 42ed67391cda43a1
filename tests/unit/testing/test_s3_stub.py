"""The stub of S3 servers, asked by boto3, and what tests ask and tell it."""

import asyncio
import io
import socket

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from async_storages.errors import InvalidArgumentException
from async_storages.testing.s3_stub import PRESETS, Behaviours, S3Stub, StubAnswer

PART = 5 << 20


def boto(stub, **options):
    return boto3.client(
        "s3",
        endpoint_url=stub.endpoint_url,
        aws_access_key_id=stub.access_key_id,
        aws_secret_access_key=stub.secret_access_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, **options),
    )


async def asked(call, *args, **options):
    """What boto3 says, in a thread; the code of its error."""
    try:
        return await asyncio.to_thread(call, *args, **options)
    except ClientError as error:
        return error.response["Error"]["Code"]


async def test_boto3_writes_reads_lists_and_deletes():
    async with S3Stub() as stub:
        client = await asyncio.to_thread(boto, stub)
        content = {"Body": io.BytesIO(b"hello"), "Metadata": {"a": "1"}}
        await asked(client.put_object, Bucket="test", Key="a b/合同.txt", **content)
        found = await asked(client.get_object, Bucket="test", Key="a b/合同.txt")
        assert (await asyncio.to_thread(found["Body"].read), found["Metadata"]) == (b"hello", {"a": "1"})
        found = await asked(client.get_object, Bucket="test", Key="a b/合同.txt", Range="bytes=1-3")
        assert await asyncio.to_thread(found["Body"].read) == b"ell"
        await asked(client.copy_object, Bucket="test", Key="b", CopySource={"Bucket": "test", "Key": "a b/合同.txt"})
        listed = await asked(client.list_objects_v2, Bucket="test")
        assert [each["Key"] for each in listed["Contents"]] == ["a b/合同.txt", "b"]
        await asked(client.delete_objects, Bucket="test", Delete={"Objects": [{"Key": "b"}]})
        assert [*stub.objects()] == ["a b/合同.txt"]
        assert await asked(client.head_object, Bucket="test", Key="b") == "404"
        assert await asked(client.get_object, Bucket="test", Key="b") == "NoSuchKey"
        assert await asked(client.get_object, Bucket="none", Key="b") == "NoSuchBucket"


async def test_boto3_uploads_in_parts():
    async with S3Stub() as stub:
        client = await asyncio.to_thread(boto, stub)
        named = {"Bucket": "test", "Key": "a.bin"}
        named["UploadId"] = (await asked(client.create_multipart_upload, **named))["UploadId"]
        parts = []
        for number, body in enumerate((bytes(PART), b"rest"), 1):
            part = await asked(client.upload_part, **named, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        assert [part["Size"] for part in (await asked(client.list_parts, **named))["Parts"]] == [PART, 4]
        wrong = {"Parts": [{"PartNumber": 1, "ETag": '"wrong"'}]}
        assert await asked(client.complete_multipart_upload, **named, MultipartUpload=wrong) == "InvalidPart"
        await asked(client.complete_multipart_upload, **named, MultipartUpload={"Parts": parts})
        assert stub.object("a.bin").data == bytes(PART) + b"rest"
        assert not stub.uploads()
        assert await asked(client.abort_multipart_upload, **named) == "NoSuchUpload"


async def test_a_wrong_signature_is_refused():
    async with S3Stub() as stub:
        client = await asyncio.to_thread(boto, stub)
        stub.put("a.txt", b"hello")
        stub.secret_access_key = "another"
        assert await asked(client.get_object, Bucket="test", Key="a.txt") == "SignatureDoesNotMatch"
        stub.access_key_id = "another"
        assert await asked(client.get_object, Bucket="test", Key="a.txt") == "InvalidAccessKeyId"
        async with httpx.AsyncClient() as plain:
            assert (await plain.get(f"{stub.endpoint_url}/test/a.txt")).status_code == 403
    assert stub.object("a.txt").data == b"hello"


def only_if_absent(request, **_):
    request.headers.add_header("If-None-Match", "*")


WAYS = {
    "put": lambda client: (client.put_object, {"Body": b"new"}),
    "copy": lambda client: (client.copy_object, {"CopySource": "test/source.txt"}),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    ("conditions", "code"), [("honoured", "PreconditionFailed"), ("refused", "NotImplemented"), ("ignored", None)]
)
async def test_conditions_are_taken_as_told(way, conditions, code):
    async with S3Stub(Behaviours.with_conditions(conditions)) as stub:
        client = await asyncio.to_thread(boto, stub)
        client.meta.events.register("before-sign.s3", only_if_absent)
        stub.put("source.txt", b"new")
        stub.put("a.txt", b"old")
        call, options = way(client)
        answer = await asked(call, Bucket="test", Key="a.txt", **options)
        assert answer == code if code else answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert stub.object("a.txt").data == (b"old" if code else b"new")


@pytest.mark.parametrize(("conditions", "code"), [("honoured", "PreconditionFailed"), ("refused", "NotImplemented")])
async def test_conditions_of_completions_are_taken_as_told(conditions, code):
    async with S3Stub(Behaviours.with_conditions(conditions)) as stub:
        client = await asyncio.to_thread(boto, stub)
        named = {"Bucket": "test", "Key": "a.bin"}
        named["UploadId"] = (await asked(client.create_multipart_upload, **named))["UploadId"]
        etag = (await asked(client.upload_part, **named, PartNumber=1, Body=b"new"))["ETag"]
        stub.put("a.bin", b"old")
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        assert await asked(client.complete_multipart_upload, **named, MultipartUpload=parts, IfNoneMatch="*") == code
        assert stub.object("a.bin").data == b"old"


async def test_a_test_may_answer_itself_and_act_before_a_request():
    async with S3Stub() as stub, stub.storage() as storage:
        await storage.upload(b"old", "a.txt")

        async def replace(request):
            stub.put(request.key, b"new")

        stub.before(replace, lambda request: request.method == "GET")
        assert await storage.read("a.txt") == b"new"
        stub.answer(StubAnswer(404), lambda request: request.method == "HEAD")
        assert not await storage.exists("a.txt")
        assert await storage.exists("a.txt")
        assert [(request.method, request.key) for request in stub.requests] == [
            ("PUT", "a.txt"),
            ("GET", "a.txt"),
            ("HEAD", "a.txt"),
            ("HEAD", "a.txt"),
        ]


async def test_it_is_started_again_where_it_was_with_what_it_held():
    stub = S3Stub()
    async with stub:
        url = stub.endpoint_url
        stub.put("a.txt", b"hello")
    with socket.socket() as client:
        assert client.connect_ex(stub.address) != 0
    async with stub, stub.storage() as storage:
        assert stub.endpoint_url == url
        assert await storage.read("a.txt") == b"hello"


async def test_closing_it_ends_what_is_under_way():
    async with S3Stub() as stub, stub.storage() as storage:
        reached, never = asyncio.Event(), asyncio.Event()

        async def hold(_):
            reached.set()
            await never.wait()

        stub.before(hold)
        task = asyncio.create_task(storage.read("a.txt"))
        await reached.wait()
        task.cancel()
        await stub.aclose()
        await stub.aclose()


def test_servers_have_names():
    assert {"aws", "b2", "oss", "r2", "ceph16", "versitygw", "swift", "cdn", "glacier"} <= PRESETS.keys()
    assert S3Stub("r2").behaviour is PRESETS["r2"]
    with pytest.raises(InvalidArgumentException, match="no S3 server is known as 'azure'; known are aws"):
        S3Stub("azure")
