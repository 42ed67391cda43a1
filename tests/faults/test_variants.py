"""Processes are killed while they make, store, make again and remove variants: rows have all, and none is left over."""

import asyncio
import logging
import os
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import ImagePool, events
from async_storages.integrations.sqlalchemy import (
    FileLedger,
    clean_variants,
    enable_file_tracking,
    regenerate_variants,
)
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from tests.faults import places, processes
from tests.faults.conftest import made
from tests.faults.leftovers import wait_for_the_dead
from tests.faults.places import Place
from tests.faults.processes import ANY, FORKS, Moment, Task
from tests.support.ledgers import pass_time, settle
from tests.support.photos import RECIPES, Photo, PhotoBase, keep_in, photo

pytestmark = pytest.mark.matrix

OF_A_STORAGE = ("write", "list", "delete", "stat")
AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class PhotoPlace(Place):
    """A place for rows with photos.

    Attributes:
        temporary: The folder for what killed processes leave on their own disk.
    """

    temporary: str = ""


@pytest.fixture(params=["sqlite", "s3", "mariadb"])
def photo_place(request, tmp_path):
    """SQLite and a folder, PostgreSQL and SeaweedFS, or MariaDB and a folder."""
    place = made(request, request.param)
    asyncio.run(prepare(made_here := PhotoPlace(place.database, place.storage, temporary=str(tmp_path))))
    return made_here


async def prepare(place):
    async with at_work(place) as app, app.engine.begin() as connection:
        await connection.run_sync(PhotoBase.metadata.create_all)


@asynccontextmanager
async def at_work(place):
    """The place, with a ledger and sessions for photos."""
    async with places.at_work(place) as app, ImagePool(workers=1) as pool:
        keep_in(app.storage)
        ledger = FileLedger(app.engine, PhotoBase.metadata)
        sessions = async_sessionmaker(app.engine, expire_on_commit=False)
        tracked = enable_file_tracking(sessions, ledger=ledger, image_pool=pool)
        yield replace(app, ledger=ledger, sessions=tracked)


# ---- what the processes do


async def upload(app):
    async with app.sessions.begin() as session:
        session.add(row := Photo(image=photo()))
    return row.id


async def replace_image(app):
    id_ = await upload(app)
    async with app.sessions.begin() as session:
        (await session.get(Photo, id_)).image = photo("dog.jpg")


async def delete_row(app):
    id_ = await upload(app)
    async with app.sessions.begin() as session:
        await session.delete(await session.get(Photo, id_))


async def roll_back(app):
    async with app.sessions() as session:
        session.add(Photo(image=photo("never.png")))
        await session.flush()
        await session.rollback()


async def work(app):
    await app.ledger.drain()
    await app.ledger.sweep(AT_ONCE, force=True)
    await app.ledger.drain()


async def regenerate(app):
    async with ImagePool(workers=1) as pool:
        done = await regenerate_variants(app.engine, Photo.image, pool=pool, batch=3)
    assert done.is_right, done


async def clean(app):
    assert (await clean_variants(app.engine, Photo.image, older_than=AT_ONCE)).is_right


WORK = {each.__name__: each for each in (upload, replace_image, delete_row, roll_back, work, regenerate, clean)}
SESSIONS = ("upload", "replace_image", "delete_row", "roll_back")


class PhotoTask(Task):
    """A process at work on photos, which may be killed after an operation of its storage, too."""

    def start(self):
        self._ours, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_main, args=(self, theirs))
        self._process.start()
        theirs.close()
        processes._running.append(self)
        return self


def _main(task, parent):
    tempfile.tempdir = task.place.temporary
    moments = processes._Moments(task, parent)
    processes.crash_points.hooks.append(moments.step)
    events.hooks.append(lambda event: moments.step(event.operation))
    for name in processes.SQL_EVENTS:
        processes.event.listen(processes.Engine, name, moments.statement)
    asyncio.run(_operate(task))


async def _operate(task):
    async with at_work(task.place) as app:
        for [name] in task.lanes:
            await WORK[name](app)


def run(place, *names, moment=None):
    """Run a process to its end; returns whether it was killed."""
    return PhotoTask(place, tuple((name,) for name in names), moment).run()


# ---- what is there


async def judge(place):
    """What rows name and is missing, as the killed have left it, and what is there for no row after a worker."""
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        lost = await _named(app) - await _present(app)
        await settle(app.ledger)
        named, present = await _named(app), await _present(app)
        return lost | (named - present), present - named


async def let_time_pass(place):
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        await pass_time(app.ledger)


async def _named(app):
    async with app.sessions() as session:
        images = [image for image in await session.scalars(select(Photo.image)) if image is not None]
    return {each.file_id for image in images for each in (image, *map(image.variant, RECIPES))}


async def _present(app):
    return {info.file_id async for info in app.storage.list() if FOLDER not in info.file_id}


# ---- kills


@pytest.mark.parametrize("passage", [1, 2, 3, 4])
def test_killed_after_a_write(photo_place, passage):
    """The original is the first; after the last come the row and the commit. A ledger's mark is written before."""
    run(photo_place, "upload")
    assert run(photo_place, "upload", moment=Moment("write", passage))
    assert asyncio.run(judge(photo_place)) == (set(), set())


@pytest.mark.parametrize(
    ("operation", "passage"), [("list", 1), ("delete", 1), ("delete", 2), (str(Step.OBJECT_DELETED), 1)]
)
def test_killed_while_removing(photo_place, operation, passage):
    run(photo_place, "replace_image", "delete_row", "roll_back")
    asyncio.run(let_time_pass(photo_place))
    assert run(photo_place, "work", moment=Moment(operation, passage))
    assert asyncio.run(judge(photo_place)) == (set(), set())


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random(photo_place, seed):
    random = Random(seed)
    kills = 0
    for _ in range(int(os.environ.get("ASYNC_STORAGES_VARIANT_KILLS", "3"))):
        names = random.choices(SESSIONS, k=3)
        name = random.choice([ANY, *OF_A_STORAGE])
        kills += run(photo_place, *names, moment=Moment(name, random.randint(1, 60 if name == ANY else 8)))
        asyncio.run(let_time_pass(photo_place))
        kills += run(photo_place, "work", moment=Moment(ANY, random.randint(1, 60)))
    assert asyncio.run(judge(photo_place)) == (set(), set())
    assert kills
    logging.getLogger(__name__).info("%d kills", kills)


# ---- kills while variants are made again


async def lose_variants(place):
    """Leave the images alone, as if the column had declared nothing when they were uploaded."""
    async with at_work(place) as app:
        for file_id in await _present(app):
            if "variants/" in file_id:
                await app.storage.delete(file_id)


@pytest.mark.parametrize(("operation", "passage"), [("write", 1), ("write", 5), ("stat", 4), ("stream", 2)])
def test_killed_while_regenerating(photo_place, operation, passage):
    run(photo_place, "upload", "upload", "upload")
    asyncio.run(lose_variants(photo_place))
    assert run(photo_place, "regenerate", moment=Moment(operation, passage))
    assert not run(photo_place, "regenerate")
    assert asyncio.run(judge(photo_place)) == (set(), set())


@pytest.mark.parametrize("seed", [1, 2])
def test_regenerators_are_killed_beside_sessions(photo_place, seed):
    """Who is killed between a variant and a look at its row, which goes just then, leaves it to `clean`."""
    random = Random(seed)
    kills = 0
    for _ in range(int(os.environ.get("ASYNC_STORAGES_VARIANT_KILLS", "2"))):
        run(photo_place, "upload", "upload")
        asyncio.run(lose_variants(photo_place))
        moment = Moment(random.choice(["write", "stat", "stream"]), random.randint(1, 8))
        tasks = [
            PhotoTask(photo_place, (("regenerate",),), moment).start(),
            PhotoTask(photo_place, (("regenerate",),)).start(),
            PhotoTask(photo_place, (("replace_image",), ("delete_row",))).start(),
        ]
        kills += sum(task.end() for task in tasks)
        asyncio.run(let_time_pass(photo_place))
        run(photo_place, "work")
    assert not run(photo_place, "regenerate", "clean")
    assert asyncio.run(judge(photo_place)) == (set(), set())
    assert kills


def test_without_a_kill(photo_place):
    assert not run(photo_place, *WORK)
    assert asyncio.run(judge(photo_place)) == (set(), set())
