"""Programs that never close their storage, use it in several loops, or fork: it works, and Python has no complaint."""

import subprocess
import sys

COMMON = """
import asyncio, logging, os, sys
from async_storages.errors import StorageException

logging.getLogger("asyncio").addFilter(lambda record: "seconds" not in record.msg)  # how long it takes does not matter

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
    return [info.file_id async for info in storage.list("new")] + await open_uploads()
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


def check_silent(beginning, program, *arguments):
    """Run a program after its beginning, which makes `storage`, and defines `open_uploads`; nothing may be printed.

    As `-X dev` would: of connections, sessions, tasks and coroutines that nobody closed.
    """
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", beginning + COMMON + program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0), done
