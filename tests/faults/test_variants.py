"""Processes are killed while they make, store, make again and remove variants: rows have all, and none is left over."""

import asyncio
import logging
import os
from random import Random

import pytest
from sqlalchemy import select

from async_storages import ImagePool
from async_storages.integrations.sqlalchemy import clean_variants, regenerate_variants
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from tests.faults.leftovers import wait_for_the_dead
from tests.faults.processes import ANY, Moment
from tests.faults.variant_processes import AT_ONCE, PhotoTask, files_there, photos_at_work, prepared
from tests.support.ledgers import pass_time, settle
from tests.support.photos import RECIPES, Photo, PhotoBase, keep_in, photo

pytestmark = pytest.mark.matrix

OF_A_STORAGE = ("write", "list", "delete", "stat")


@pytest.fixture(params=["sqlite", "s3", "mariadb"])
def photo_place(request, tmp_path):
    """SQLite and a folder, PostgreSQL and SeaweedFS, or MariaDB and a folder."""
    return prepared(request, tmp_path, PhotoBase, keep_in)


def at_work(place):
    """The place, with a ledger and sessions for photos."""
    return photos_at_work(place, PhotoBase, keep_in)


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


async def operate(place, names):
    async with at_work(place) as app:
        for name in names:
            await WORK[name](app)


def run(place, *names, moment=None):
    """Run a process to its end; returns whether it was killed."""
    return PhotoTask(place, operate, *names, moment=moment).run()


# ---- what is there


async def judge(place):
    """What rows name and is missing, as the killed have left it, and what is there for no row after a worker."""
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        lost = await _named(app) - await files_there(app)
        await settle(app.ledger)
        named, present = await _named(app), await files_there(app)
        return lost | (named - present), present - named


async def let_time_pass(place):
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        await pass_time(app.ledger)


async def _named(app):
    async with app.sessions() as session:
        images = [image for image in await session.scalars(select(Photo.image)) if image is not None]
    return {each.file_id for image in images for each in (image, *map(image.variant, RECIPES))}


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
        for file_id in await files_there(app):
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
            PhotoTask(photo_place, operate, "regenerate", moment=moment).start(),
            PhotoTask(photo_place, operate, "regenerate").start(),
            PhotoTask(photo_place, operate, "replace_image", "delete_row").start(),
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
