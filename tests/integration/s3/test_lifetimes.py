"""Programs that never close their storage, use it in several loops, or fork: it works, and Python has no complaint."""

import subprocess
import sys

import pytest

COMMON = """
import asyncio, os, sys
from async_storages import S3Storage
from async_storages.errors import StorageException

url, bucket, key, secret = sys.argv[1:]
storage = S3Storage(bucket, endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret)

async def use():
    await storage.upload(b"content", "file.txt")
    assert await storage.read("file.txt") == b"content"

async def use_at_once():
    await asyncio.gather(*(use() for _ in range(10)))
"""

PROGRAMS = {
    "never closed": "asyncio.run(use_at_once())",
    "never used": "",
    "after a failure": """
async def fail():
    try:
        await storage.read("missing.txt")
    except StorageException:
        await storage.bucket_admin.exists()
asyncio.run(fail())
""",
    "reads left half-way": """
async def leave():
    await storage.upload(bytes(8 << 20), "large.bin")
    global kept
    kept = storage.stream("large.bin")
    await anext(kept)
    async for _ in storage.stream("large.bin"):
        break
asyncio.run(leave())
""",
    "writes left half-way": """
async def produced():
    yield bytes(9 << 20)
    await asyncio.Event().wait()
async def leave():
    task = asyncio.create_task(storage.upload(produced(), "new.bin"))
    await storage.upload(b"", "other.txt")
    assert not task.done()
asyncio.run(leave())
async def left():
    open_uploads = await storage._client.list_multipart_uploads(bucket)
    return [info.file_id async for info in storage.list("new")] + open_uploads
assert asyncio.run(left()) == []
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
""",
    "a child after fork": """
loop = asyncio.new_event_loop()
loop.run_until_complete(use_at_once())
if (child := os.fork()) == 0:
    asyncio.run(use_at_once())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(use_at_once())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
asyncio.run(use())
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_is_printed(s3_server, s3_bucket, program):
    """As `-X dev` would: of connections, sessions, tasks and coroutines that nobody closed."""
    keys = (s3_server.access_key_id, s3_server.secret_access_key)
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", COMMON + program]
    done = subprocess.run(
        [*command, s3_server.endpoint_url, s3_bucket, *keys], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
