"""The processes that are killed: what they are told, and how they die or wait at a chosen moment."""

import asyncio
import logging
import os
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import configure_mappers

from async_storages.integrations.sqlalchemy.ledger import crash_points
from tests.faults import mutants
from tests.faults.operations import OPERATIONS
from tests.faults.places import Place, at_work

FORKS = get_context("forkserver")
"""Children of a process that has imported all this, and has neither threads nor a loop: 15 ms each."""
FORKS.set_forkserver_preload(
    [
        "tests.faults.processes",
        "tests.faults.moves.processes",
        *("asyncpg", "psycopg", "aiosqlite", "asyncmy", "aiomysql"),
        "async_storages.backends.s3.storage",
    ]
)
configure_mappers()

ANY = "any moment"
"""Steps of the protocol, and beginnings and ends of SQL statements and transactions."""

_SERIALIZATION_FAILURE = "40001"
SQL_EVENTS = ("before_cursor_execute", "after_cursor_execute", "commit", "rollback", "begin", "rollback_savepoint")


@dataclass(frozen=True)
class Moment:
    """When something happens to a process.

    Attributes:
        name: A step, or `ANY`.
        passage: The how manieth time that it passes there, from 1.
        waits: Whether it waits there, instead of being killed.
        stops: Whether it is stopped there by a signal, with all its threads and clocks, until it is woken.
    """

    name: str
    passage: int = 1
    waits: bool = False
    stops: bool = False


@dataclass(eq=False)
class Task:
    """A process and what it is to do.

    Attributes:
        place: Where.
        lanes: Names of operations, one after the other in each lane; none for a worker.
        moment: When it is killed, or waits.
        passes: Of the worker; None for as many as there are until it is killed.
        mutant: What is wrong with its protocol.
        tolerated: Errors that operations, or passes, may meet.
        speaks: Whether it tells each step, for `listen`.
        told: What a worker said of each pass.
    """

    place: Place
    lanes: tuple[tuple[str, ...], ...] = ()
    moment: Moment | None = None
    passes: int | None = 1
    mutant: str | None = None
    tolerated: tuple[type[Exception], ...] = ()
    speaks: bool = False
    told: list[object] = field(default_factory=list)

    def start(self):
        self._ours, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_main, args=(self, theirs))
        self._process.start()
        theirs.close()
        _running.append(self)
        return self

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def run(self):
        """Until it ends; whether it was killed."""
        return self.start().end()

    def kill(self):
        self._process.kill()

    def is_over(self):
        """Whether it has ended by itself, or was killed at its moment."""
        return not self._process.is_alive()

    def listen(self, times):
        """Until it has passed so many steps, or has ended."""
        while times and self._hear():
            times -= 1

    def kill_after(self, times):
        """From outside, when it has passed so many steps: it is somewhere behind the last of them."""
        self.listen(times)
        self.kill()

    def wait(self):
        """Until it waits at its moment."""
        assert self._hear() == self.moment.name, f"it never came there: {self}"

    def has_stopped(self):
        """Wait until it is stopped at its moment; False if it ended before it came there."""
        if self._hear() != self.moment.name:
            return False
        state = Path(f"/proc/{self._process.pid}/stat")
        while state.read_text().rpartition(") ")[2][0] != "T":
            time.sleep(0.001)
        return True

    def wake(self):
        os.kill(self._process.pid, signal.SIGCONT)

    def go_on(self):
        self._ours.send("go on")

    def end(self):
        """Wait until it has; whether it was killed."""
        while word := self._hear():
            self.told.append(word)
        code = self.bury()
        assert code in {0, -signal.SIGKILL}, f"a process failed, see its traceback: {self}"
        return code != 0

    def bury(self):
        self._process.join()
        self._ours.close()
        code = self._process.exitcode
        self._process.close()
        _running.remove(self)
        return code

    def _hear(self):
        try:
            return self._ours.recv()
        except (EOFError, OSError):  # it has ended
            return None


_running: list[Task] = []


def end_all():
    """Those that a failed test has left."""
    for task in _running[:]:
        task.kill()
        task.bury()


# ---- in the process


def _main(task: Task, parent: Connection):
    logging.getLogger("async_storages").setLevel(logging.ERROR)
    mutants.apply(task.mutant)
    moments = _Moments(task, parent)
    crash_points.hooks.append(moments.step)
    for name in SQL_EVENTS:
        event.listen(Engine, name, moments.statement)
    asyncio.run(_operate(task) if task.lanes else _work(task, parent))


class _Moments:
    def __init__(self, task, parent):
        self._chosen = task.moment
        self._speaks = task.speaks
        self._parent = parent
        self._passages = 0

    def step(self, step):
        if self._speaks:
            self._parent.send(str(step))
        self._pass(str(step))

    def statement(self, *_, **__):
        self._pass("")

    def _pass(self, name):
        if self._chosen is None or self._chosen.name not in {name, ANY}:
            return
        self._passages += 1
        if self._passages != self._chosen.passage:
            return
        if not (self._chosen.waits or self._chosen.stops):
            os.kill(os.getpid(), signal.SIGKILL)
        self._parent.send(self._chosen.name)
        if self._chosen.stops:
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            self._parent.recv()


async def _operate(task):
    async with at_work(task.place) as app, asyncio.TaskGroup() as group:
        for lane in task.lanes:
            group.create_task(_run(app, lane, task.tolerated))


async def _run(app, lane, tolerated):
    for name in lane:
        try:
            await OPERATIONS[name](app)
        except tolerated:
            continue
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _SERIALIZATION_FAILURE or app.isolation is None:
                raise


async def _work(task, parent):
    async with at_work(task.place) as app:
        for _ in count() if task.passes is None else range(task.passes):
            try:
                drained = await app.ledger.drain()
                await app.ledger.sweep(timedelta(0), force=True)
            except task.tolerated:
                continue
            if task.passes is not None:
                parent.send(drained)
