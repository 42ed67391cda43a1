"""The raw clients against servers that say what they are told to, or that are never asked."""

import pickle
from dataclasses import replace

import pytest

from async_storages import (
    FastDFSClient,
    FileAttach,
    InvalidArgumentException,
    RouteNotSupportedException,
    S3Client,
    S3Storage,
    StorageClosedException,
)
from async_storages.backends.transport.retries import Retries
from tests.support.managers import fastdfs_config, s3_config
from tests.support.s3 import FAST
from tests.support.scripted import reply, scripted

TARGET = ("photos", "large.bin")
ONCE = replace(FAST, retries=Retries(attempts=1))


@pytest.fixture
def client():
    return S3Client(s3_config())


def told(answer):
    return scripted(lambda asked: answer)


async def test_an_id_has_no_scheme_but_a_column_gets_one():
    async with told(reply(ETag='"e"')) as server, S3Client(s3_config(endpoint=server.url)) as client:
        attach = await client.upload_bytes("a.txt", b"", bucket="archive", folder="f")

    assert attach.file_id.startswith("archive/f/")
    assert attach.fusion_id == pickle.loads(pickle.dumps(attach)).fusion_id == f"s3:{attach.file_id}"
    assert FileAttach(file_id="s3:a/b", file_name="b").fusion_id == "s3:a/b"


@pytest.mark.parametrize(
    "file_id", ["", "photos", "photos/", "/a.txt", "No Bucket/a.txt", "photos/../a", "s3:photos/a"]
)
async def test_what_is_no_raw_id_is_refused(client, file_id):
    with pytest.raises(InvalidArgumentException):
        await client.download_bytes(file_id)


@pytest.mark.parametrize("bucket", ["", "No Bucket", "a/b", ".."])
async def test_no_bucket_name_leads_elsewhere(client, bucket):
    with pytest.raises(InvalidArgumentException):
        await client.upload_bytes("a.txt", b"", bucket=bucket)


@pytest.mark.parametrize("file_id", ["s3:photos/a.txt", "M00/00/00/a.txt", "../a", "group1/M00/00/00/a.txt-m"])
async def test_what_is_no_id_of_fastdfs_is_refused(file_id):
    with pytest.raises((InvalidArgumentException, RouteNotSupportedException)):
        await FastDFSClient(fastdfs_config()).download_bytes(file_id)


@pytest.mark.parametrize("number", [0, -1, 10_001, 1.5, "1", None])
async def test_parts_are_numbered_from_1_to_10000(client, number):
    with pytest.raises(InvalidArgumentException, match=r"upload_part 'photos/large\.bin': .* from 1 to 10000"):
        await client.upload_part(*TARGET, "id", number, b"")


@pytest.mark.parametrize("body", ["text", None, 7, [b"a"]])
async def test_a_part_is_bytes(client, body):
    with pytest.raises(InvalidArgumentException, match="a part is bytes"):
        await client.upload_part(*TARGET, "id", 1, body)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [{}],
        [{"PartNumber": 1}],
        [{"PartNumber": 0, "ETag": "a"}],
        [{"PartNumber": 10_001, "ETag": "a"}],
        [{"PartNumber": "1", "ETag": "a"}],
        [{"PartNumber": 1, "ETag": "a"}, {"PartNumber": 1, "ETag": "b"}],
        [None],
        ["ab"],
    ],
    ids=str,
)
async def test_parts_that_cannot_be_are_refused_before_anyone_is_asked(client, parts):
    with pytest.raises(InvalidArgumentException, match="complete_multipart_upload"):
        await client.complete_multipart_upload(*TARGET, "id", parts)


MULTIPART = {
    "create": lambda client: client.create_multipart_upload(*TARGET),
    "part": lambda client: client.upload_part(*TARGET, "id", 1, b""),
    "complete": lambda client: client.complete_multipart_upload(*TARGET, "id", [{"PartNumber": 1, "ETag": '"a"'}]),
    "abort": lambda client: client.abort_multipart_upload(*TARGET, "id"),
}


@pytest.mark.parametrize("call", MULTIPART.values(), ids=MULTIPART)
async def test_a_closed_client_sends_nothing(call):
    async with told(reply(ETag='"e"')) as server:
        async with S3Client(s3_config(endpoint=server.url)) as client:
            pass
        with pytest.raises(StorageClosedException):
            await call(client)
        assert server.asked == []


@pytest.mark.parametrize("call", MULTIPART.values(), ids=MULTIPART)
async def test_a_refusal_tells_the_target_and_no_secret(call):
    denied = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    async with told(reply(403, denied)) as server:
        storage = S3Storage.from_config(s3_config(endpoint=server.url), options=ONCE)
        async with S3Client(storage) as client:
            with pytest.raises(Exception, match=r"multipart_upload|upload_part 'photos/large\.bin'") as caught:
                await call(client)
    assert caught.value.http_status == 403
    assert "Signature" not in str(caught.value)


async def test_many_files_of_any_bucket_are_deleted_in_one_request():
    async with told(reply(body=b"<DeleteResult/>")) as server, S3Client(s3_config(endpoint=server.url)) as client:
        await client.delete_files([f"archive/{n}.txt" for n in range(1000)])

    assert [(asked.method, asked.path) for asked in server.asked] == [("POST", "/archive?delete=")]
