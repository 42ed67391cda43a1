"""Movers are killed: each row names a file with the right bytes, and nothing is left when all is finished."""

from random import Random

import pytest

from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep
from tests.faults.moves.harness import WORK, Tally, killed_at, reaches, run_rounds
from tests.faults.moves.operations import OPERATIONS
from tests.faults.moves.places import CLEAN, judge, run
from tests.faults.moves.processes import APP, BACK, FINISHER, MOVER, Process


def test_without_a_kill(place):
    for process in (
        Process(place, APP, operations=tuple(OPERATIONS)),
        Process(place, MOVER),
        Process(place, BACK),
        Process(place, APP, operations=WORK),
        Process(place, FINISHER),
        Process(place, APP, operations=tuple(OPERATIONS)),
    ):
        assert not process.run()
    assert run(judge(place)) == CLEAN


@pytest.mark.matrix
@pytest.mark.parametrize("step", list(MoveStep), ids=[str(step) for step in MoveStep])
def test_killed_at(place, step):
    if reaches(step, place):
        assert killed_at(place, step), "no process came there"
        assert run(judge(place)) == CLEAN


def test_killed_at_random(place):
    tally = Tally()
    run_rounds(place, Random(1), tally, count=2)
    assert tally.problems == []


def test_killed_between_two_servers(far_place):
    tally = Tally()
    run_rounds(far_place, Random(2), tally, count=2)
    assert tally.problems == []
