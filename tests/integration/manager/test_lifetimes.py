"""Opening, closing, health and event loops of managers of real servers."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from sqlalchemy import Column, create_engine
from sqlalchemy.orm import Session

from async_storages import StorageClosedException, StorageManager, StorageUnavailableException
from async_storages.integrations.sqlalchemy import FileType
from async_storages.testing.fastdfs_server import FastDFSServer
from tests.support.documents import row_class
from tests.support.managers import NOWHERE


async def use(manager):
    """A file goes to each system and back."""
    for client in (manager.s3, manager.fastdfs):
        attach = await client.upload_bytes("a.txt", b"hello")
        assert await manager.download_service.download_bytes(attach.fusion_id) == b"hello"
        await manager.delete_service.delete_files([attach.fusion_id])


async def test_a_lifespan_opens_and_closes_it(make):
    manager = make()

    @asynccontextmanager
    async def lifespan(app):
        async with manager:
            yield

    app = FastAPI(lifespan=lifespan)
    for _ in range(2):  # as with a reload
        async with app.router.lifespan_context(app):
            await manager.ping()
            await use(manager)
        with pytest.raises(StorageClosedException):
            await manager.ping()


async def test_it_needs_no_with(make):
    manager = make()
    await use(manager)
    await manager.aclose()
    await manager.open()
    await use(manager)
    await manager.aclose()


async def test_a_ping_names_the_bucket_that_is_not_there(make, s3_bucket):
    async with make(allowed_buckets=[f"{s3_bucket}-missing"]) as manager:
        with pytest.raises(Exception, match=f"ping '{s3_bucket}-missing'"):
            await manager.ping()


async def test_a_ping_names_fastdfs_when_it_is_down(make, own_fastdfs):
    async with make() as manager:
        await own_fastdfs.stop(own_fastdfs.tracker)
        with pytest.raises(StorageUnavailableException, match=own_fastdfs.tracker):
            await manager.ping()
        own_fastdfs.restart(own_fastdfs.tracker)
        await manager.ping()


async def test_a_ping_names_s3_when_it_is_down(make, s3_bucket):
    async with make(s3={"endpoint": f"http://{NOWHERE}"}) as manager:
        with pytest.raises(StorageUnavailableException, match=f"ping '{s3_bucket}'"):
            await manager.ping()


LOOPS = """
import asyncio, logging, sys
from async_storages import FastdfsConfig, S3Config, StorageManager

logging.getLogger("asyncio").addFilter(lambda record: "seconds" not in record.msg)  # how long it takes does not matter

url, bucket, key, secret, tracker = sys.argv[1:]
manager = StorageManager(
    s3_config=S3Config(endpoint=url, access_key_id=key, secret_access_key=secret, default_bucket=bucket),
    fastdfs_config=FastdfsConfig(tracker_servers=[tracker]),
)

async def use():
    for client in (manager.s3, manager.fastdfs):
        attach = await client.upload_bytes("a.txt", b"hello")
        assert await manager.download_service.download_bytes(attach.fusion_id) == b"hello"
        await manager.delete_service.delete_file(attach.fusion_id)

async def open_and_use():
    async with manager:
        await use()

asyncio.run(use())  # never closed: it is with its loop
asyncio.run(use())
asyncio.run(open_and_use())
asyncio.run(open_and_use())

async def both():
    async with manager:
        await asyncio.gather(use(), asyncio.to_thread(asyncio.run, use()))
asyncio.run(both())
print("done")
"""


def test_one_manager_serves_many_loops(s3_server, s3_bucket, fastdfs_server):
    where = (s3_server.endpoint_url, s3_bucket, s3_server.access_key_id, s3_server.secret_access_key)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", LOOPS, *where, fastdfs_server.tracker],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.stdout, done.stderr) == ("done\n", "")


async def test_rows_of_both_systems_are_read_through_one_column(manager):
    row = row_class(file=Column(FileType(storage=manager)))
    attaches = [
        await manager.upload_service.upload_bytes("a.txt", b"s3"),
        await manager.fastdfs.upload_bytes("a.txt", b"fastdfs"),
        await manager.s3.upload_bytes("a.txt", b"raw s3"),
    ]

    def stored_and_loaded():
        engine = create_engine("sqlite://")
        row.metadata.create_all(engine)
        with Session(engine) as session:
            session.add_all([row(id=number, file=attach) for number, attach in enumerate(attaches)])
            session.commit()
            files = [found.file for found in session.query(row).order_by(row.id)]
        engine.dispose()
        return files

    files = await asyncio.to_thread(stored_and_loaded)
    assert [file.file_id for file in files] == [attach.fusion_id for attach in attaches]
    assert [await file.read() for file in files] == [b"s3", b"fastdfs", b"raw s3"]


async def test_urls_of_both_systems(make):
    async with make(
        fastdfs_settings={"url_base": "https://files.example", "secret_key": "k", "token_ttl": 60}
    ) as manager:
        for client in (manager.s3, manager.fastdfs):
            file = manager.file((await client.upload_bytes("a b.txt", b"")).fusion_id)
            assert file.name.split("/")[-1].split(".")[0].replace(" ", "%20") in await file.get_path()
            assert "?" in await file.get_presigned_url(60)


async def test_two_clusters_cannot_serve_the_same_ids(fastdfs):
    async with FastDFSServer() as other:
        from tests.support.fastdfs import fastdfs_storage

        with pytest.raises(ValueError, match="two storages serve the same ids"):
            StorageManager.from_storages(fastdfs_storage(fastdfs), fastdfs_storage(other))
