"""Processes are killed while a ledger's worker copies files into a mirror: it has in the end what the primary has."""

import asyncio
from enum import StrEnum
from random import Random

import pytest
from sqlalchemy import select

from async_storages import LocalStorage, MirroredStorage
from async_storages.integrations.sqlalchemy.ledger import crash_points
from async_storages.integrations.sqlalchemy.ledger.crash_points import CopyStep, Step
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from tests.faults.conftest import made
from tests.faults.harness import AT_STEPS, Tally, killed_at, run_rounds
from tests.faults.places import CLEAN, at_work, judge
from tests.faults.processes import ANY, Moment, Task
from tests.support.tracked import Book, Loan

pytestmark = pytest.mark.matrix


class MirrorStep(StrEnum):
    """Moments of the mirror, of which the ledger does not know."""

    WRITTEN = "mirror written"
    DELETED = "mirror deleted"


class Mirror(LocalStorage):
    """Tells the steps."""

    async def write(self, content, key, *, overwrite=True):
        written = await super().write(content, key, overwrite=overwrite)
        self._tell(MirrorStep.WRITTEN, key)
        return written

    async def delete(self, name):
        await super().delete(name)
        self._tell(MirrorStep.DELETED, name)

    def _tell(self, step, key):
        if FOLDER not in str(key):  # a mark is written in the same call
            crash_points.reached(step)


def queued(primary, mirror):
    return MirroredStorage(primary, Mirror(mirror.location), queue=True)


STEPS = [
    *CopyStep,
    *MirrorStep,
    *(Step.OBJECT_WRITTEN, Step.UPLOADED, Step.CLAIMED, Step.COMMITTED, Step.ROLLED_BACK),
    *(Step.DELETING, Step.OBJECT_DELETED, Step.FORGOTTEN),
]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def place(request):
    return made(request, request.param, queued)


@pytest.mark.parametrize("passage", [1, 3])
@pytest.mark.parametrize("step", STEPS, ids=[str(step) for step in STEPS])
def test_killed_at(place, step, passage):
    if passage == 1:
        assert killed_at(place, step), "no process came there"
    else:
        Task(place, (("create several", "replace", "roll back", "create"),)).run()
        lanes = (AT_STEPS[step] * 3,) if step in AT_STEPS else ()
        Task(place, lanes, Moment(str(step), passage), passes=3).run()
    assert asyncio.run(judge(place)) == CLEAN
    assert asyncio.run(differences(place)) == set()


@pytest.mark.parametrize("place", ["postgresql", "mariadb"], indirect=True)  # who waits may have SQLite's only lock
@pytest.mark.parametrize("dies", [True, False], ids=["killed", "alive"])
@pytest.mark.parametrize("step", [CopyStep.TAKEN, MirrorStep.WRITTEN, CopyStep.MADE])
def test_a_file_that_is_removed_while_it_is_copied_does_not_come_back(place, step, dies):
    Task(place, (("create", "create several"),)).run()
    copying = Task(place, (), Moment(str(step), waits=True)).start()
    copying.wait()
    asyncio.run(remove_all(place))
    if dies:
        copying.kill()
        copying.bury()
    else:
        copying.go_on()
        copying.end()
    assert asyncio.run(judge(place)) == CLEAN
    assert asyncio.run(held_by_each(place)) == [set(), set()]


@pytest.mark.parametrize("seed", [1, 2])
def test_two_workers_are_killed_at_random(place, seed):
    random = Random(seed)
    for _ in range(3):
        Task(place, (("create several", "replace", "create", "delete row", "roll back"),)).run()
        moments = [Moment(random.choice([ANY, *CopyStep, *MirrorStep]), random.randint(1, 9)) for _ in range(2)]
        workers = [Task(place, (), moment) for moment in moments]
        if place.is_sqlite:
            for worker in workers:
                worker.run()
        else:
            for worker in [each.start() for each in workers]:
                worker.end()
    assert asyncio.run(judge(place, random)) == CLEAN
    assert asyncio.run(differences(place)) == set()


def test_applications_and_workers_are_killed_at_random(place):
    tally = Tally()
    run_rounds(place, Random(3), tally, count=3)
    assert (tally.lost, tally.leaked) == (set(), set())
    assert tally.kills.total() > 3
    assert asyncio.run(differences(place)) == set()


async def remove_all(place):
    async with at_work(place) as app:
        async with app.sessions.begin() as session:
            for class_ in (Loan, Book):
                for row in await session.scalars(select(class_)):
                    await session.delete(row)
        await app.ledger.drain()


async def differences(place):
    """The files that the mirror has and its primary has not, or the other way round."""
    one, other = await held_by_each(place)
    return one ^ other


async def held_by_each(place):
    async with at_work(place) as app:
        return [
            {info.file_id async for info in each.list() if FOLDER not in info.file_id} for each in app.storage.members
        ]
