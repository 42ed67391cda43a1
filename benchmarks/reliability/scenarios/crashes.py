"""A process that is killed, at a moment of its own choice; it works on the rows and files of its parent."""

import asyncio
import os
import signal
import subprocess
import sys

from benchmarks.reliability.library import Library
from benchmarks.reliability.scenarios.listing import Scenario, listing, replace
from benchmarks.reliability.scenarios.trouble import replace_and_commit

SCENARIOS: dict[str, Scenario] = {}
scenario = listing(SCENARIOS)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def die_before_commit(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session)
        await session.flush()
        die()


async def die_after_commit(at: Library) -> None:
    await replace_and_commit(at, after=die)


DEATHS = {death.__name__: death for death in (die_before_commit, die_after_commit)}


@scenario("kill -9 between upload and commit")
async def killed_before_commit(at: Library) -> None:
    await in_a_child(at, die_before_commit)


@scenario("kill -9 after commit, before removal")
async def killed_after_commit(at: Library) -> None:
    await in_a_child(at, die_after_commit)


async def in_a_child(at: Library, death: Scenario) -> None:
    arguments = [at.name, at.url.render_as_string(hide_password=False), str(at.folder), death.__name__]
    command = [sys.executable, "-m", "benchmarks.reliability.killed", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    _, error = await process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError([line for line in error.decode().splitlines() if "Error" in line][-1])
    await at.end()
    await at.disconnect_others()
