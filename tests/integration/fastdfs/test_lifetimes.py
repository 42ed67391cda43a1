"""Programs that never close their storage, use it in several loops, or fork: it works, and Python has no complaint."""

import asyncio
import subprocess
import sys

import pytest

COMMON = """
import asyncio, os, sys
from async_storages import FastDFSStorage
from async_storages.errors import StorageException

storage = FastDFSStorage(tracker_servers=[sys.argv[1]])
ids = []

async def use():
    ids.append(file_id := await storage.upload(b"content", "file.txt"))
    assert await storage.read(file_id) == b"content"

async def use_at_once():
    await asyncio.gather(*(use() for _ in range(10)))

async def remove():
    await asyncio.gather(*(storage.delete(file_id) for file_id in ids))
    ids.clear()
"""

PROGRAMS = {
    "never closed": "asyncio.run(use_at_once())",
    "never used": "",
    "after a failure": """
async def fail():
    try:
        await storage.read("group1/M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin")
    except StorageException:
        await storage.cluster.ping()
asyncio.run(fail())
""",
    "reads left half-way": """
async def leave():
    ids.append(await storage.upload(bytes(8 << 20), "large.bin"))
    global kept
    kept = storage.stream(ids[0])
    await anext(kept)
    async for _ in storage.stream(ids[0]):
        break
asyncio.run(leave())
""",
    "writes left half-way": """
async def produced():
    yield bytes(2 << 20)
    await asyncio.Event().wait()
async def leave():
    task = asyncio.create_task(storage.upload(produced(), "new.bin"))
    await use()
    assert not task.done()
asyncio.run(leave())
""",
    "a second loop": "asyncio.run(use_at_once())\nasyncio.run(use_at_once())",
    "two loops at once": """
async def both():
    await use()
    await asyncio.to_thread(asyncio.run, use_at_once())
    await use()
asyncio.run(both())
""",
    "closed in another loop": """
asyncio.run(use())
asyncio.run(storage.aclose())
storage = FastDFSStorage(tracker_servers=[sys.argv[1]])
""",
    "a child after fork": """
loop = asyncio.new_event_loop()
loop.run_until_complete(use_at_once())
if (child := os.fork()) == 0:
    ids.clear()
    asyncio.run(use_at_once())
    asyncio.run(remove())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(use_at_once())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
asyncio.run(use())
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_is_printed(fastdfs_server, program):
    """As `-X dev` would: of connections, tasks and coroutines that nobody closed. And nothing is left."""
    before = asyncio.run(fastdfs_server.files())
    program = f"{COMMON}{program}\nasyncio.run(remove())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program, fastdfs_server.tracker],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert asyncio.run(fastdfs_server.files()) == before
