"""Processes are killed over two storages as one: what holds for one storage holds for both, and for each of them."""

import asyncio
from random import Random
from zlib import crc32

import pytest

from async_storages import FallbackStorage, MirroredStorage
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from async_storages.naming import UniqueKey
from tests.faults.conftest import made
from tests.faults.harness import Tally, killed_at, run_rounds
from tests.faults.places import CLEAN, at_work, judge

pytestmark = pytest.mark.matrix


class HalfDeployed(FallbackStorage):
    """Half of the files are written into the old storage, as by processes that do not know the new one yet."""

    def __init__(self, new, old):
        super().__init__(new, old, copy_on_read=True)

    async def write(self, content, key, *, overwrite=True):
        if isinstance(key, UniqueKey) and crc32(key.encode()) % 2:
            return await self.old.write(content, key, overwrite=overwrite)
        return await super().write(content, key, overwrite=overwrite)

    async def stat(self, name):
        await self.read(name)  # whoever looks at a file copies it
        return await super().stat(name)


def strict_mirror(primary, mirror):
    return MirroredStorage(primary, mirror, strict=True)


STEPS = [Step.OBJECT_WRITTEN, Step.UPLOADED, Step.CLAIMED, Step.COMMITTED, Step.DELETING, Step.OBJECT_DELETED]


@pytest.fixture(params=[HalfDeployed, strict_mirror], ids=["fallback", "mirrored"])
def whole(request):
    return request.param


@pytest.fixture
def place(request, whole):
    return made(request, "sqlite", whole)


@pytest.fixture
def postgres_place(request, whole):
    return made(request, "postgresql", whole)


@pytest.mark.parametrize("step", STEPS, ids=[str(step) for step in STEPS])
def test_killed_at(place, step):
    assert killed_at(place, step), "no process came there"
    assert asyncio.run(judge(place)) == CLEAN
    assert asyncio.run(differences(place)) == set()


def test_killed_at_random(postgres_place):
    tally = Tally()
    run_rounds(postgres_place, Random(1), tally, count=3)
    assert (tally.lost, tally.leaked) == (set(), set())
    assert tally.kills.total() > 3
    assert asyncio.run(differences(postgres_place)) == set()


async def differences(place):
    """The files that a mirror has and its primary has not, or the other way round; none of a fallback."""
    async with at_work(place) as app:
        if not isinstance(app.storage, MirroredStorage):
            return set()
        await app.storage.resync(delete=True)
        one, other = [{info.file_id async for info in each.list()} for each in app.storage.members]
        return one ^ other
