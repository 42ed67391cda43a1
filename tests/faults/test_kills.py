"""Processes are killed: no row then names a missing file, and nothing is left when a worker has passed and swept."""

import asyncio
from random import Random

import pytest

from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from tests.faults.harness import Tally, killed_at, run_rounds
from tests.faults.operations import NOT_ON_SQLITE, OPERATIONS
from tests.faults.places import CLEAN, judge
from tests.faults.processes import Task


@pytest.mark.parametrize("step", list(Step), ids=[str(step) for step in Step])
def test_killed_at(place, step):
    assert killed_at(place, step), "no process came there"
    assert asyncio.run(judge(place)) == CLEAN


@pytest.mark.parametrize(
    ("kind", "seed"),
    [("postgres_place", 1), ("s3_place", 2), ("mariadb_place", 3)],
    ids=["local", "s3", "mariadb"],
)
def test_killed_at_random(request, kind, seed):
    tally = Tally()
    run_rounds(request.getfixturevalue(kind), Random(seed), tally, count=3)
    assert (tally.lost, tally.leaked) == (set(), set())
    assert tally.kills.total() > 3


def test_every_operation_without_a_kill(place):
    names = tuple(name for name in OPERATIONS if not (place.is_sqlite and name in NOT_ON_SQLITE))
    assert not Task(place, (names,)).run()
    assert asyncio.run(judge(place)) == CLEAN
