"""The services over real servers: what is on the wire, and what is left behind."""

import asyncio
import io
import subprocess
import sys
import zipfile
from dataclasses import replace

import aiohttp
import pytest

from async_storages import (
    FileDownload,
    FileNotFoundException,
    FileTooLargeException,
    InvalidArgumentException,
    S3Storage,
    StorageManager,
    StorageOperationException,
)
from async_storages.testing.fastdfs_server import FastDFSServer, Fault
from async_storages.testing.faults import Answer, request_header
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES
from tests.support.fastdfs import FAST as FASTDFS_FAST
from tests.support.fastdfs import GIVEN, fastdfs_storage, leaving, parametrize_versions
from tests.support.managers import s3_config, upload_file
from tests.support.s3 import FAST as S3_FAST
from tests.support.s3 import open_uploads
from tests.support.streams import Closing, collect, until_failure

MODES = ["s3", "fastdfs", "hybrid"]
PDF = b"%PDF-1.7\n%%EOF"


def pytest_generate_tests(metafunc):
    """The oldest version that is supported, and the newest."""
    parametrize_versions(metafunc, ["5.11", "6.16.1"], "own_fastdfs")


@pytest.fixture
async def own_fastdfs(version):
    async with FastDFSServer(version=version) as server:
        yield server


@pytest.fixture
def fastdfs(request, version):
    return request.getfixturevalue("fastdfs_server" if version == GIVEN else "own_fastdfs")


async def left_in(manager):
    """All that is in the bucket, finished or not."""
    storage = manager.s3.storage
    return [info.file_id async for info in storage.list()] + await open_uploads(storage)


# ---- there and back


@pytest.mark.parametrize("mode", MODES)
async def test_a_file_goes_there_and_back(make, mode):
    async with make(mode) as manager:
        await manager.ping()
        attach = await manager.upload_service.upload_bytes(
            "Bericht für Ada.pdf", PDF, folder="reports", metadata={"author": "Ada", "ort": "Köln"}
        )
        info = await manager.info_service.get_file_info(attach.file_id)

        assert attach.file_id.startswith("group1/" if mode == "fastdfs" else "s3:")
        assert (attach.file_name, info.file_name) == ("Bericht für Ada.pdf",) * 2
        assert (info.file_id, info.file_size, info.content_type) == (attach.file_id, len(PDF), "application/pdf")
        assert info.metadata == {"author": "Ada", "ort": "Köln"}
        assert info.storage_class == (None if mode == "fastdfs" else "STANDARD")
        assert info.last_modify_time.tzinfo is not None
        assert await manager.download_service.download_bytes(attach.file_id) == PDF

        await manager.delete_service.delete_file(attach.file_id)
        with pytest.raises(FileNotFoundException):
            await manager.info_service.get_file_info(attach.file_id)


@pytest.mark.parametrize("mode", ["s3", "fastdfs"])
async def test_every_name_comes_back(make, mode):
    names = [*GOOD_NAMES, "照" * 78 + ".jpg", *HOSTILE_NAMES.values()]
    async with make(mode) as manager:
        attaches = await manager.upload_service.upload_files([upload_file(name=name) for name in names], folder="..")
        infos = [await manager.info_service.get_file_info(attach.file_id) for attach in attaches]

        assert [info.file_name for info in infos] == [attach.file_name for attach in attaches]
        assert [attach.file_name for attach in attaches][: len(GOOD_NAMES) + 1] == names[: len(GOOD_NAMES) + 1]
        assert {await manager.file(attach.file_id).read() for attach in attaches} == {b"content"}


async def test_the_name_is_percent_encoded_on_the_wire(manager):
    attach = await manager.upload_service.upload_bytes("Bericht für +100%.pdf", PDF)
    url = await manager.file(attach.file_id).get_presigned_url(60, "HEAD")

    async with aiohttp.ClientSession() as session, session.head(url) as answer:
        assert answer.headers["x-amz-meta-original-name"] == "Bericht%20f%C3%BCr%20%2B100%25.pdf"
        assert answer.headers["Content-Type"] == "application/pdf"


async def test_the_name_that_s3py_helper_kept_is_read(manager, s3_bucket):
    headers = {"x-amz-meta---real-file-name--": "%E6%8A%A5%E5%91%8A.pdf", "x-amz-meta-author": "Ada"}
    await manager.s3.storage._client.put_object(s3_bucket, "f/0123.pdf", PDF, headers=headers)

    info = await manager.info_service.get_file_info(f"s3:{s3_bucket}/f/0123.pdf")

    assert (info.file_name, info.metadata) == ("报告.pdf", {"author": "Ada"})


async def test_fastdfs_keeps_the_name_as_other_clients_do(make, own_fastdfs):
    async with make("fastdfs") as manager:
        await manager.upload_service.upload_bytes("Bericht für Ada.pdf", PDF, metadata={"author": "Ada"})

    [stored] = await own_fastdfs.files()
    pairs = dict(pair.split("\2") for pair in stored.metadata.decode().split("\1"))
    assert pairs == {"OriginFileName": "Bericht für Ada.pdf", "author": "Ada"}


async def test_another_bucket_that_is_allowed(make, other_bucket):
    async with make(allowed_buckets=[other_bucket]) as manager:
        attach = await manager.upload_service.upload_bytes("a.txt", b"hello", bucket=other_bucket)
        copied = await manager.storage_for(attach.file_id).copy(attach.file_id, "copy.txt")

        assert attach.file_id.startswith(f"s3:{other_bucket}/")
        assert await manager.download_service.download_bytes(copied) == b"hello"
        await manager.ping()


# ---- uploads

UPLOAD_64_MIB = """
import asyncio, resource, sys, tempfile
from starlette.datastructures import UploadFile
from async_storages import S3Config, StorageManager, StorageModeConfig

url, bucket, key, secret = sys.argv[1:]
config = S3Config(endpoint=url, access_key_id=key, secret_access_key=secret, default_bucket=bucket)

async def main():
    async with StorageManager(StorageModeConfig(mode="s3"), config) as manager:
        with tempfile.TemporaryFile() as file:
            for _ in range(64):
                file.write(bytes(1 << 20))
            file.seek(0)
            await manager.upload_service.upload_bytes("warm.bin", bytes(9 << 20))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            attach = await manager.upload_service.upload_file(UploadFile(file, filename="large.bin"))
            assert not file.closed
            size = 0
            async for chunk in manager.download_service.download_to_generator(attach.file_id):
                size += len(chunk)
            print(size >> 20, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""


def test_a_large_upload_and_download_take_little_memory(s3_server, s3_bucket):
    where = s3_server.endpoint_url, s3_bucket, s3_server.access_key_id, s3_server.secret_access_key
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", UPLOAD_64_MIB, *where], check=False, capture_output=True, text=True
    )

    assert done.stderr == ""
    mebibytes, grown = map(int, done.stdout.split())
    assert mebibytes == 64
    assert grown < 40 << 10  # KiB: a few parts of 8 MiB, not 64


@pytest.mark.parametrize("mode", ["s3", "fastdfs"])
@pytest.mark.parametrize("declared", [None, 1000, 9 << 20], ids=["unknown", "too little", "too much"])
async def test_what_is_too_large_leaves_nothing_whatever_was_declared(make, fastdfs, mode, declared):
    seen = Closing(*[bytes(1 << 20)] * 30)
    async with leaving(fastdfs), make(mode, max_file_size=20 << 20) as manager:
        with pytest.raises((FileTooLargeException, InvalidArgumentException), match=r"large\.bin"):
            await manager.upload_service.upload_stream("large.bin", seen.stream(), declared)

        assert seen.closed
        assert mode == "fastdfs" or await left_in(manager) == []


@pytest.mark.parametrize("mode", ["s3", "fastdfs"])
async def test_when_one_of_several_fails_nothing_is_left(make, fastdfs, mode):
    class Broken(io.BytesIO):
        def read(self, size=-1, /):
            raise OSError("the disk is gone")

    files = [upload_file(name=f"{n}.txt") for n in range(4)]
    files.insert(3, upload_file(name="bad.txt"))
    files[3].file = Broken()

    async with leaving(fastdfs), make(mode, concurrency=2) as manager:
        with pytest.raises(OSError, match="the disk is gone") as caught:
            await manager.upload_service.upload_files(files)

        assert caught.value.__notes__[-1] == "while uploading 'bad.txt'"
        assert mode == "fastdfs" or await left_in(manager) == []


@pytest.mark.parametrize("done", [0, 1, 3])
async def test_when_several_are_cancelled_half_way_nothing_is_left(make, fastdfs, done):
    waiting = asyncio.Event()

    async def endless():
        yield bytes(9 << 20)
        waiting.set()
        await asyncio.Event().wait()

    class Endless:
        filename = "endless.bin"

        def __aiter__(self):
            return endless()

    async with make(concurrency=1) as manager:
        files = [*(upload_file(name=f"{n}.txt") for n in range(done)), Endless(), upload_file()]
        task = asyncio.create_task(manager.upload_service.upload_files(files))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await left_in(manager) == []


async def test_a_refusal_of_the_server_names_the_file(make, proxy, fastdfs):
    proxy.inject(
        Answer.s3_error("AccessDenied", 403), request_header(), times=None, when=lambda method, _: method == "PUT"
    )
    async with make(s3={"endpoint": proxy.url}) as manager:
        with pytest.raises(Exception, match=r"_b\.txt': .*AccessDenied|_b\.txt") as caught:
            await manager.upload_service.upload_files([upload_file(name="b.txt")])
    assert caught.value.http_status == 403


async def test_a_full_disk_of_fastdfs_undoes_what_was_stored(make, own_fastdfs):
    async with make("fastdfs", concurrency=1) as manager:
        await manager.upload_service.upload_files([upload_file()])
        own_fastdfs.inject(Fault(status=28), 13, times=None)
        with pytest.raises(StorageOperationException):
            await manager.upload_service.upload_files([upload_file(name="full.txt")])

        assert len(await own_fastdfs.files()) == 1


# ---- archives


@pytest.fixture
async def mixed(manager):
    """Two files in S3 and one in FastDFS, all of one name; a fourth is to be cleaned."""
    uploads, contract = manager.upload_service, await manager.fastdfs.upload_bytes("report.pdf", PDF)
    ids = [(await uploads.upload_bytes("report.pdf", PDF * 1000)).file_id for _ in range(2)]
    last = await uploads.upload_bytes("a.txt", b"a")
    return [
        FileDownload(file_id=ids[0]),
        FileDownload(file_id=contract.file_id, file_name="report.pdf"),
        FileDownload(file_id=ids[1]),
        FileDownload(file_id=last.file_id, file_name="..\\..\\évil:.txt"),
    ]


def names_in(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return archive.namelist()


async def test_an_archive_of_both_systems_is_as_long_as_it_says(manager, mixed):
    archive = await manager.download_service.prepare_zip(mixed)
    data = await collect(archive.stream())

    assert names_in(data) == ["report.pdf", "report_2.pdf", "report_3.pdf", "évil_.txt"]
    assert archive.size == len(data)
    assert names_in(await collect(manager.download_service.stream_zip(mixed))) == names_in(data)


@pytest.mark.parametrize("number", range(4))
async def test_a_member_that_is_deleted_meanwhile(manager, mixed, number):
    archive = await manager.download_service.prepare_zip(mixed)
    await manager.delete_service.delete_file(mixed[number].file_id)

    sent, error = await until_failure(archive.stream())
    assert isinstance(error, FileNotFoundException)
    assert not zipfile.is_zipfile(io.BytesIO(sent))
    assert "ERRORS.txt" in names_in(await collect(manager.download_service.stream_zip(mixed, on_error="list")))


async def test_a_client_that_leaves_an_archive_lets_go_of_both_servers(s3_server, s3_bucket, fastdfs):
    storages = (
        S3Storage.from_config(s3_config(s3_server, s3_bucket), options=replace(S3_FAST, max_connections=1)),
        fastdfs_storage(fastdfs, options=replace(FASTDFS_FAST, max_connections=1)),
    )
    async with StorageManager.from_storages(*storages) as manager:
        files = [FileDownload(file_id=str(await storage.save(bytes(4 << 20), "a.bin"))) for storage in storages]

        for _ in range(3):
            chunks = manager.download_service.stream_zip(files)
            async for _chunk in chunks:
                break
            await chunks.aclose()

        for file in files:  # each has but one connection, so it was given back
            assert len(await manager.download_service.download_bytes(file.file_id)) == 4 << 20


# ---- deleting


async def test_many_files_are_deleted_in_one_request(make, proxy, other_bucket):
    async with make(s3={"endpoint": proxy.url}, allowed_buckets=[other_bucket]) as manager:
        ids = [
            (await manager.upload_service.upload_bytes("a.txt", b"", bucket=bucket)).file_id
            for bucket in (None, other_bucket)
            for _ in range(20)
        ]
        contract = (await manager.fastdfs.upload_bytes("a.txt", b"")).file_id
        before = len(proxy.requests)

        await manager.delete_service.delete_files([*ids, contract, ids[0]])

        assert [request.method for request in proxy.requests[before:]] == ["POST", "POST"]
        assert not any([await manager.file(file_id).exists() for file_id in [*ids, contract]])


async def test_what_cannot_be_deleted_is_named_and_the_rest_is_deleted(make, proxy):
    failed = "<DeleteResult><Error><Key>{}</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    async with make(s3={"endpoint": proxy.url}) as manager:
        kept = await manager.upload_service.upload_bytes("kept.txt", b"")
        contract = await manager.fastdfs.upload_bytes("a.txt", b"")
        body = failed.format(kept.file_id.partition("/")[2]).encode()
        proxy.inject(Answer(200, body), request_header(), when=lambda method, _: method == "POST")

        with pytest.raises(Exception, match=r"delete 's3:.*_kept\.txt'") as caught:
            await manager.delete_service.delete_files([kept.file_id, contract.file_id])

        assert caught.value.file_id == kept.file_id
        assert not await manager.file(contract.file_id).exists()
