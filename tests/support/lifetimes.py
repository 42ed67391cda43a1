"""Programs that never close their storage, use it in several loops, or fork: it works, and Python has no complaint."""

import subprocess
import sys

from tests.support.patience import HANGS

COMMON = """
import asyncio, logging, os, sys
from async_storages.errors import StorageException

logging.getLogger("asyncio").addFilter(lambda record: "seconds" not in record.msg)  # how long it takes does not matter

made = []  # keys, or ids that the storage has chosen

async def use():
    made.append(name := await storage.upload(b"content", "file.txt"))
    assert await storage.read(name) == b"content"

async def use_at_once():
    await asyncio.gather(*(use() for _ in range(10)))

async def remove():
    async with storage:
        await asyncio.gather(*(storage.delete(name) for name in made))
    made.clear()
"""

PROGRAMS = {
    "never closed": "asyncio.run(use_at_once())",
    "never used": "",
    "after a failure": """
async def fail():
    try:
        await storage.read(MISSING)
    except StorageException:
        await storage.ping()
asyncio.run(fail())
""",
    "reads left half-way": """
async def leave():
    made.append(large := await storage.upload(bytes(8 << 20), "large.bin"))
    global kept
    kept = storage.stream(large)
    await anext(kept)
    async for _ in storage.stream(large):
        break
asyncio.run(leave())
""",
    "writes left half-way": """
async def produced():
    yield bytes(9 << 20)
    await asyncio.Event().wait()
async def leave():
    task = asyncio.create_task(storage.upload(produced(), "new.bin"))
    await use()
    assert not task.done()
asyncio.run(leave())
assert asyncio.run(left("new")) == []
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
    made.clear()
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


def check_silent(beginning, program, *arguments):
    """Run a program after its beginning, which makes `storage`, and defines `MISSING`, the name of no file, and `left`,
    which tells what keys and open uploads begin with; nothing may be printed.

    As `-X dev` would: of connections, sessions, tasks and coroutines that nobody closed.
    """
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", beginning + COMMON + program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0), done
