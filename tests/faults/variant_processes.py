"""What the tests share in which processes are killed that work on variants: places, applications, processes."""

import asyncio
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import ImagePool, events
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from tests.faults import places, processes
from tests.faults.conftest import made
from tests.faults.places import Place
from tests.faults.processes import FORKS, Task

AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class PhotoPlace(Place):
    """A place for rows with photos.

    Attributes:
        temporary: The folder for what killed processes leave on their own disk.
    """

    temporary: str = ""


def prepared(request, tmp_path, base, keep_in):
    """The place that a fixture is asked for, with the tables of a declarative base."""
    place = made(request, request.param)
    photo_place = PhotoPlace(place.database, place.storage, temporary=str(tmp_path))
    asyncio.run(_prepare(photo_place, base, keep_in))
    return photo_place


async def _prepare(place, base, keep_in):
    async with photos_at_work(place, base, keep_in) as app, app.engine.begin() as connection:
        await connection.run_sync(base.metadata.create_all)


@asynccontextmanager
async def photos_at_work(place, base, keep_in):
    """The place, with a ledger and sessions for the photos of a base, which `keep_in` keeps in a storage."""
    async with places.at_work(place) as app, ImagePool(workers=1) as pool:
        keep_in(app.storage)
        ledger = FileLedger(app.engine, base.metadata, image_pool=pool)
        sessions = async_sessionmaker(app.engine, expire_on_commit=False)
        tracked = enable_file_tracking(sessions, ledger=ledger, image_pool=pool)
        yield replace(app, ledger=ledger, sessions=tracked)


async def files_there(app):
    """The files that are there, but for the ledger's mark."""
    return {info.file_id async for info in app.storage.list() if FOLDER not in info.file_id}


class PhotoTask(Task):
    """A process at work on photos, which may wait at a moment, or be killed, also after an operation of its storage.

    Attributes:
        operate: Does in a place what the names say; a function of a module.
        names: Names of operations, one after the other.
        last: The moment at which it is killed; None for `moment`.
    """

    def __init__(self, place, operate, *names, moment=None, last=None):
        super().__init__(place, (names,), moment)
        self.operate = operate
        self.names = names
        self.last = last

    def start(self):
        self._ours, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_main, args=(self, theirs))
        self._process.start()
        theirs.close()
        processes._running.append(self)
        return self


def _main(task, parent):
    tempfile.tempdir = task.place.temporary
    for moment in filter(None, [task.moment, task.last]):
        _listen(processes._Moments(Task(task.place, moment=moment), parent))
    asyncio.run(task.operate(task.place, task.names))


def _listen(moments):
    processes.crash_points.hooks.append(moments.step)
    events.hooks.append(lambda event: moments.step(event.operation))
    for name in processes.SQL_EVENTS:
        processes.event.listen(processes.Engine, name, moments.statement)
