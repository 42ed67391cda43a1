"""Archives of many files, of a huge one, and for a client that leaves, of what a manager's storages hold."""

import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI

from async_storages import FileDownload, LocalStorage, MemoryStorage, StorageManager, events
from async_storages.config import FastdfsConfig, S3Config
from async_storages.integrations.fastapi import ClosingStreamingResponse
from tests.support.heartbeat import has_short_steps
from tests.support.patience import HANGS
from tests.support.streams import collect
from tests.support.uvicorn_server import served
from tests.support.zip_readers import streaming_readers


@pytest.fixture
async def manager(s3_server, s3_bucket, fastdfs_server, tmp_path):
    """Of S3, FastDFS and a folder."""
    s3 = S3Config(
        endpoint=s3_server.endpoint_url,
        access_key_id=s3_server.access_key_id,
        secret_access_key=s3_server.secret_access_key,
        default_bucket=s3_bucket,
    )
    fastdfs = FastdfsConfig(tracker_servers=[fastdfs_server.tracker])
    local = LocalStorage(tmp_path / "files")
    async with StorageManager(s3_config=s3, fastdfs_config=fastdfs, storages={"file": local}) as manager:
        yield manager


@pytest.fixture
async def save(manager):
    """Saves content in the storages in turn, and deletes it after the test: FastDFS is there for all of them."""
    async with AsyncExitStack() as after:

        async def save(contents):
            turns = zip(contents, manager.storages * len(contents), strict=False)
            files = await asyncio.gather(*(storage.save(content, "a.bin") for content, storage in turns))
            after.push_async_callback(manager.delete_service.delete_files, [file.file_id for file in files])
            return files

        yield save


on_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells of its processes")


def open_sockets():
    """How many this process has."""
    return sum("socket:" in os.path.realpath(file) for file in Path("/proc/self/fd").iterdir())


def check_with_unzip(archive: Path):
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tqq", archive], check=True, capture_output=True)


async def test_200_files_of_three_systems(manager, save, tmp_path):
    contents = [os.urandom(number * number) for number in range(200)]
    files = await save(contents)
    wanted = [FileDownload(file_id=file.file_id, file_name=f"{file.scheme}/a.bin") for file in files]

    download = await manager.download_service.prepare_zip(wanted)
    prepared = await collect(download.stream())
    await manager.download_service.download_files_as_zip(wanted, tmp_path / "a.zip")

    assert len(prepared) == download.size
    with zipfile.ZipFile(io.BytesIO(prepared)) as one, zipfile.ZipFile(tmp_path / "a.zip") as other:
        assert one.namelist()[:6] == [f"{scheme}/a{n}.bin" for n in ("", "_2") for scheme in ("s3", "fastdfs", "file")]
        for archive in (one, other):
            assert [archive.read(name) for name in archive.namelist()] == contents
    check_with_unzip(tmp_path / "a.zip")
    for reader in streaming_readers():
        found = await asyncio.to_thread(reader, tmp_path / "a.zip")
        assert [*found.values()] == [(len(content), zlib.crc32(content)) for content in contents]


async def test_preparing_10_000_files_holds_nobody_up(no_blocking_calls):
    no_blocking_calls.deactivate()  # it watches every call
    async with StorageManager.from_storages(MemoryStorage()) as manager:
        attach = await manager.upload_service.upload_bytes("a.txt", b"abc")
        wanted = [FileDownload(file_id=attach.file_id, file_name=f"{n % 50}/{n}.txt") for n in range(10_000)]

        async def prepare():
            download = await manager.download_service.prepare_zip(wanted)
            assert len(download.entries) == 10_000
            assert download.size

        assert await has_short_steps(prepare)


async def test_70_000_empty_files(tmp_path, no_blocking_calls):
    no_blocking_calls.deactivate()  # watching so many calls takes longer than making them
    async with StorageManager.from_storages(MemoryStorage()) as manager:
        attach = await manager.upload_service.upload_bytes("a.txt", b"")
        wanted = [FileDownload(file_id=attach.file_id, file_name=f"{number:05}") for number in range(70_000)]
        await manager.download_service.download_files_as_zip(wanted, tmp_path / "a.zip")

    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert found.namelist() == [each.file_name for each in wanted]
        assert {(info.file_size, info.CRC) for info in found.infolist()} == {(0, 0)}
    check_with_unzip(tmp_path / "a.zip")


HUGE = 5 << 30
CRC_OF_HUGE = 0x193838C3

IN_A_PROCESS = r"""
import asyncio, json, os, re, sys
from pathlib import Path
from async_storages import FileDownload, LocalStorage, StorageManager

RUNS = re.compile(rb"(\0{4096,})")

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10

async def main(files, archive):
    async with StorageManager.from_storages(LocalStorage(files)) as manager:
        wanted = [FileDownload(file_id=f"file:{name}") for name in ("huge.bin", "after.txt")]
        download = await manager.download_service.prepare_zip(wanted)
        Path("/proc/self/clear_refs").write_text("5")
        idle = peak()
        with open(archive, "wb") as out:  # sparse as well: zeros are not written
            async for chunk in download.stream():
                for number, part in enumerate(RUNS.split(chunk)):
                    out.seek(len(part), os.SEEK_CUR) if number % 2 else out.write(part)
        print(json.dumps([peak() - idle, download.size]))

asyncio.run(main(*sys.argv[1:]))
"""


@on_linux
def test_a_sparse_file_of_5_gib(tmp_path):
    files, archive = tmp_path / "files", tmp_path / "a.zip"
    files.mkdir()
    with (files / "huge.bin").open("wb") as huge:
        huge.truncate(HUGE)
    (files / "after.txt").write_text("after")

    command = [sys.executable, "-c", IN_A_PROCESS, str(files), str(archive)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    memory, announced = json.loads(done.stdout)

    assert memory < 8_000_000
    assert archive.stat().st_size == announced
    with zipfile.ZipFile(archive) as found:
        huge, after = found.infolist()
        assert (huge.file_size, huge.CRC) == (HUGE, CRC_OF_HUGE)
        assert after.header_offset > HUGE
        assert found.read("after.txt") == b"after"
    if shutil.which("unzip"):  # all of it takes a minute
        subprocess.run(["unzip", "-tqq", archive, "after.txt"], check=True)


@on_linux
async def test_a_client_that_leaves_releases_every_connection(manager, save, monkeypatch):
    files = await save([bytes(16 << 20)] * 3)
    ended = asyncio.Queue()
    monkeypatch.setattr(events, "hooks", [*events.hooks, ended.put_nowait])
    app = FastAPI()

    @app.post("/zip")
    async def download_zip(body: list[FileDownload]):
        return ClosingStreamingResponse(manager.download_service.stream_zip(body))

    async def leave(first):
        """Ask for a file and the ones after it, of which the next is opened ahead, and leave after 1 MB."""
        wanted = [{"file_id": file.file_id} for file in files[first:] + files[:first]]
        async with aiohttp.ClientSession() as client, client.post(f"{url}/zip", json=wanted) as answer:
            assert len(await answer.content.readexactly(1 << 20)) == 1 << 20
            answer.close()
        async with asyncio.timeout(HANGS):  # the server goes on running
            return {(await ended.get()).scheme for _ in range(2)}

    before = open_sockets()
    async with served(app) as url:
        left = [await leave(number % 3) for number in range(9)]
        assert left == [{"s3", "fastdfs"}, {"fastdfs", "file"}, {"file", "s3"}] * 3
    assert open_sockets() <= before
