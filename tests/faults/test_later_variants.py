"""Processes are killed while they make variants later than the upload: none stays whose original has gone."""

import asyncio
from random import Random

import pytest
from sqlalchemy import select

from async_storages import ImagePool
from async_storages.variants.lazy import LazyVariants
from tests.faults.leftovers import wait_for_the_dead
from tests.faults.processes import ANY, Moment
from tests.faults.variant_processes import AT_ONCE, PhotoTask, files_there, photos_at_work, prepared
from tests.support.later_photos import RECIPES, LaterBase, LaterPhoto, keep_later_in, linked
from tests.support.ledgers import pass_time, settle
from tests.support.photos import photo

pytestmark = pytest.mark.matrix


@pytest.fixture(params=["sqlite", "s3"])
def later_place(request, tmp_path):
    """SQLite and a folder, or PostgreSQL and SeaweedFS."""
    return prepared(request, tmp_path, LaterBase, keep_later_in)


def at_work(place):
    """The place, with a ledger and sessions for photos."""
    return photos_at_work(place, LaterBase, keep_later_in)


# ---- what the processes do


async def upload(app):
    async with app.sessions.begin() as session:
        session.add(row := LaterPhoto(image=photo()))
    return row


async def ask(app):
    """Ask for the variants of the last image, as the route does."""
    async with app.sessions() as session:
        image = await session.scalar(select(LaterPhoto.image).order_by(LaterPhoto.id.desc()).limit(1))
    for name in RECIPES if image is not None else ():
        async with ImagePool(workers=1) as pool:
            await LazyVariants(pool).make(linked(image, name))


async def make(app):
    await app.ledger.make_variants()


async def delete_rows(app):
    async with app.sessions.begin() as session:
        for row in await session.scalars(select(LaterPhoto)):
            await session.delete(row)


async def work(app):
    await app.ledger.drain()
    await app.ledger.make_variants()
    await app.ledger.sweep(AT_ONCE, force=True)
    await app.ledger.drain()


WORK = {each.__name__: each for each in (upload, ask, make, delete_rows, work)}


async def operate(place, names):
    async with at_work(place) as app:
        for name in names:
            await WORK[name](app)


def run(place, *names, moment=None):
    """Run a process to its end; returns whether it was killed."""
    return PhotoTask(place, operate, *names, moment=moment).run()


# ---- what is there


async def judge(place, *, inventory=False):
    """Originals that rows name and that are missing, and what is there for no row after a worker."""
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        originals, _ = await _named(app)
        lost = originals - await files_there(app)
        await pass_time(app.ledger)
        await app.ledger.make_variants()
        await settle(app.ledger)
        if inventory:
            await app.ledger.sweep(AT_ONCE, force=True, inventory=True)
            await settle(app.ledger)
        originals, variants = await _named(app)
        present = await files_there(app)
        return lost | (originals - present), present - originals - variants


async def _named(app):
    async with app.sessions() as session:
        images = [image for image in await session.scalars(select(LaterPhoto.image)) if image is not None]
    return {image.file_id for image in images}, {image.variant(name).file_id for image in images for name in RECIPES}


async def unmade(place):
    """The worker's variants that are missing in the end."""
    async with at_work(place) as app:
        _, variants = await _named(app)
        return {each for each in variants - await files_there(app) if "/large-" not in each}


# ---- kills


@pytest.mark.parametrize("name", ["ask", "make"])
@pytest.mark.parametrize(("operation", "passage"), [("stream", 1), ("write", 1), ("write", 2), ("stat", 3)])
def test_a_maker_that_is_killed_leaves_nothing_strange(later_place, name, operation, passage):
    run(later_place, "upload", "work", "upload")  # the first one writes the ledger's mark
    assert run(later_place, name, moment=Moment(operation, passage))
    assert asyncio.run(judge(later_place)) == (set(), set())
    assert asyncio.run(unmade(later_place)) == set()
    run(later_place, "delete_rows")
    assert asyncio.run(judge(later_place)) == (set(), set())


@pytest.mark.parametrize(("name", "passage"), [("ask", 1), ("make", 2)])  # the worker reads the ledger's mark before
def test_killed_between_store_and_check_while_the_original_went(later_place, name, passage):
    """Nobody is left who could know of the variant: the inventory finds it."""
    run(later_place, "upload", "work", "upload")
    maker = PhotoTask(
        later_place, operate, name, moment=Moment("stream", passage, waits=True), last=Moment("write")
    ).start()
    maker.wait()
    run(later_place, "delete_rows")
    run(later_place, "work")
    maker.go_on()
    assert maker.end()
    lost, strange = asyncio.run(judge(later_place))
    assert lost == set()
    assert strange
    assert asyncio.run(judge(later_place, inventory=True)) == (set(), set())


@pytest.mark.parametrize("moment", [Moment("list", 2), Moment("delete", 1), Moment("list", 1)])
def test_a_remover_that_is_killed_is_followed_by_another(later_place, moment):
    run(later_place, "upload", "work", "delete_rows")
    assert run(later_place, "work", moment=moment)
    assert asyncio.run(judge(later_place)) == (set(), set())


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random(later_place, seed):
    random = Random(seed)
    for _ in range(3):
        names = random.choices(["upload", "ask", "make", "delete_rows", "upload"], k=3)
        moment = Moment(random.choice([ANY, "write", "list", "delete"]), random.randint(1, 20))
        run(later_place, *names, moment=moment)
        run(later_place, "work", moment=Moment(ANY, random.randint(1, 80)))
    assert asyncio.run(judge(later_place, inventory=True)) == (set(), set())
    assert asyncio.run(unmade(later_place)) == set()
