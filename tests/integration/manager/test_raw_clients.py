"""The raw clients by themselves."""

import pytest

from async_storages import (
    FastDFSClient,
    FileDownload,
    FileNotFoundException,
    S3Client,
    StorageClosedException,
    StorageException,
)
from tests.support.managers import fastdfs_config, s3_config
from tests.support.s3 import open_uploads
from tests.support.streams import collect

PART = bytes(range(256)) * 4096 * 5  # 5 MiB


@pytest.fixture
async def s3(s3_server, s3_bucket):
    async with S3Client(s3_config(s3_server, s3_bucket)) as client:
        yield client


async def test_each_has_all_verbs(s3, fastdfs):
    async with FastDFSClient(fastdfs_config(fastdfs)) as other:
        for client in (s3, other):
            attach = await client.upload_bytes("Bericht für Ada.exe ", b"hello", metadata={"author": "Ada"})
            info = await client.get_file_info(attach.file_id)

            assert (info.file_id, info.file_name, info.metadata) == (
                attach.file_id,
                attach.file_name,
                {"author": "Ada"},
            )
            assert await collect(client.download_to_generator(attach.file_id)) == b"hello"
            assert b"hello" in await collect(client.stream_zip([FileDownload(file_id=attach.file_id)]))
            await client.delete_file(attach.file_id)
            with pytest.raises(FileNotFoundException):
                await client.download_bytes(attach.file_id)


async def test_closed_it_refuses_and_opens_again(s3_server, s3_bucket):
    client = S3Client(s3_config(s3_server, s3_bucket))
    async with client:
        attach = await client.upload_bytes("a.txt", b"hello")
    with pytest.raises(StorageClosedException):
        await client.download_bytes(attach.file_id)
    async with client:
        assert await client.download_bytes(attach.file_id) == b"hello"


async def test_it_reaches_every_bucket(make, other_bucket):
    async with make() as manager:
        attach = await manager.s3.upload_bytes("a.txt", b"hello", bucket=other_bucket)

        assert attach.file_id.startswith(f"{other_bucket}/")
        assert await manager.s3.download_bytes(attach.file_id) == b"hello"
        with pytest.raises(StorageException, match="not one of those that are allowed"):
            await manager.download_service.download_bytes(attach.fusion_id)


# ---- multipart uploads by hand


@pytest.fixture
def target(s3_bucket):
    return s3_bucket, "folder/large file.bin"


async def begin(s3, target):
    upload_id = (await s3.create_multipart_upload(*target, content_type="text/plain", metadata={"ort": "Köln"}))[
        "UploadId"
    ]
    parts = [
        {"PartNumber": n, **await s3.upload_part(*target, upload_id, n, body)} for n, body in ((2, b"end"), (1, PART))
    ]
    return upload_id, parts


async def test_parts_become_a_file(s3, target):
    upload_id, parts = await begin(s3, target)
    await s3.complete_multipart_upload(*target, upload_id, parts)

    info = await s3.get_file_info("/".join(target))
    assert (info.file_size, info.content_type, info.metadata) == (len(PART) + 3, "text/plain", {"ort": "Köln"})
    assert await s3.download_bytes("/".join(target)) == PART + b"end"
    assert await open_uploads(s3.storage) == []


async def test_an_abort_frees_the_parts_also_twice(s3, target):
    upload_id, parts = await begin(s3, target)
    for _ in range(2):
        await s3.abort_multipart_upload(*target, upload_id)

    assert await open_uploads(s3.storage) == []
    with pytest.raises(StorageException, match="complete_multipart_upload"):
        await s3.complete_multipart_upload(*target, upload_id, parts)
    with pytest.raises(StorageException, match="upload_part"):
        await s3.upload_part(*target, upload_id, 1, b"late")


@pytest.mark.parametrize("etag", ['"0123456789abcdef0123456789abcdef"', "nonsense", "", "<a>&"])
async def test_a_wrong_etag_is_refused(s3, target, etag):
    upload_id, parts = await begin(s3, target)
    with pytest.raises(StorageException, match="complete_multipart_upload"):
        await s3.complete_multipart_upload(*target, upload_id, [parts[1], parts[0] | {"ETag": etag}])

    with pytest.raises(FileNotFoundException):
        await s3.get_file_info("/".join(target))
    await s3.abort_multipart_upload(*target, upload_id)


async def test_a_part_that_was_never_sent_is_refused(s3, target):
    upload_id, parts = await begin(s3, target)
    with pytest.raises(StorageException, match="complete_multipart_upload"):
        await s3.complete_multipart_upload(*target, upload_id, [*parts, {"PartNumber": 3, "ETag": parts[0]["ETag"]}])
    await s3.abort_multipart_upload(*target, upload_id)
