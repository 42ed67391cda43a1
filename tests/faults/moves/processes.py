"""The processes that are killed while files are moved: applications, movers, and the ledger's worker."""

import asyncio
import logging
import os
import signal
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from async_storages.integrations.sqlalchemy.ledger import crash_points as ledger_points
from async_storages.integrations.sqlalchemy.migration import crash_points
from async_storages.integrations.sqlalchemy.migration.transactions import is_conflict
from tests.faults.moves.operations import OPERATIONS
from tests.faults.moves.places import Place, at_work
from tests.faults.processes import ANY, FORKS, SQL_EVENTS, Moment

MOVER, STOPPER, BACK, FINISHER, WORKER, APP = "mover", "stopper", "back", "finisher", "worker", "application"
LANES = 2
"""Requests of an application at once; on SQLite one, as sessions wait there for each other."""

_ATTEMPTS = 5


@dataclass(eq=False)
class Process:
    """A process and what it is to do.

    Attributes:
        place: Where.
        role: One of the roles.
        moment: When it is killed.
        seed: Of its random choices.
        operations: Of an application, one after the other; None for random ones, in two lanes at once.
        count: Operations, or passes of the others.
    """

    place: Place
    role: str
    moment: Moment | None = None
    seed: int = 0
    operations: tuple[str, ...] | None = None
    count: int = 1

    def start(self):
        self._process = FORKS.Process(target=_main, args=(self,))
        self._process.start()
        _running.append(self)
        return self

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def run(self):
        return self.start().end()

    def kill(self):
        self._process.kill()

    def end(self):
        """Wait until it has; whether it was killed."""
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        _running.remove(self)
        assert code in {0, -signal.SIGKILL}, f"a process failed, see its traceback: {self}"
        return code != 0


_running: list[Process] = []


def end_all():
    for each in _running[:]:
        each.kill()
        each._process.join()
        _running.remove(each)


# ---- in the process


def _main(process):
    logging.getLogger("async_storages").setLevel(logging.ERROR)
    if process.moment is not None:
        passed = _passage(process.moment)
        crash_points.hooks.append(lambda step: passed(str(step)))
        ledger_points.hooks.append(lambda step: passed(str(step)))
        for name in SQL_EVENTS:
            event.listen(Engine, name, lambda *_, **__: passed(""))
    asyncio.run(_ROLES[process.role](process))


def _passage(moment):
    left = moment.passage

    def passed(name):
        nonlocal left
        if moment.name in {name, ANY}:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return passed


async def _move(process):
    async with at_work(process.place) as app:
        for _ in range(process.count):
            await app.migration.plan(retry=True)
            await app.migration.run(concurrency=1 if process.place.is_sqlite else 4)


async def _move_and_stop(process):
    """Stop with the first copy, so that other files are given back."""
    async with at_work(process.place) as app:
        crash_points.hooks.append(lambda step: app.migration.stop() if step is crash_points.MoveStep.COPIED else None)
        await app.migration.plan(retry=True)
        await app.migration.run(concurrency=1 if process.place.is_sqlite else 4)


async def _go_back(process):
    async with at_work(process.place) as app:
        for _ in range(process.count):
            await app.migration.rollback(limit=5)


async def _finish(process):
    async with at_work(process.place) as app:
        for _ in range(process.count):
            await app.migration.finish()


async def _work(process):
    async with at_work(process.place) as app:
        for _ in range(process.count if app.ledger is not None else 0):
            await app.ledger.drain()
            await app.ledger.sweep(timedelta(0), force=True)
            await app.ledger.drain()


async def _operate(process):
    random, count = Random(process.seed), 1 if process.place.is_sqlite else LANES
    lanes = [random.choices(list(OPERATIONS), k=process.count // count) for _ in range(count)]
    async with at_work(process.place) as app, asyncio.TaskGroup() as group:
        for names in [process.operations] if process.operations else lanes:
            group.create_task(_operate_in_turn(app, names))


async def _operate_in_turn(app, names):
    for name in names:
        for left in reversed(range(_ATTEMPTS)):
            try:
                await OPERATIONS[name](app)
                break
            except DBAPIError as error:  # a deadlock of two requests, which an application tries again
                if not (left and is_conflict(error)):
                    raise


_ROLES = {MOVER: _move, STOPPER: _move_and_stop, BACK: _go_back, FINISHER: _finish, WORKER: _work, APP: _operate}
