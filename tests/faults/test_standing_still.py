"""A process stands still for longer than the grace, or than the lease, while others go on; then it goes on, too."""

import asyncio
from dataclasses import replace
from itertools import product

import pytest

from async_storages import FileGoneException
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from tests.faults.harness import AT_STEPS, WORK
from tests.faults.mutants import SMALL_BATCHES
from tests.faults.places import CLEAN, judge, let_time_pass, wait_until_over
from tests.faults.processes import Moment, Task

WITHOUT_A_LOCK = (Step.INTENT_WRITTEN, Step.OBJECT_WRITTEN, Step.UPLOADED)
"""On SQLite nobody can write after these."""


def stand_still(slow, *, is_over=True):
    """A process waits, another worker passes twice (when what is in force no longer is), and then the first goes on."""
    slow.start().wait()
    if is_over:
        asyncio.run(let_time_pass(slow.place, is_quiet=False))
    assert not Task(slow.place, passes=2, mutant=slow.mutant).run()
    slow.go_on()
    assert not slow.end()
    assert asyncio.run(judge(slow.place)) == CLEAN


@pytest.mark.parametrize(
    ("place", "step"),
    [*product(("postgresql", "mariadb"), AT_STEPS), *product(("sqlite",), WITHOUT_A_LOCK)],
    indirect=["place"],
)
def test_an_application(place, step):
    assert not Task(place).run()  # it marks the storage
    stand_still(Task(place, (AT_STEPS[step],), Moment(str(step), waits=True), tolerated=(FileGoneException,)))


@pytest.mark.parametrize("step", [Step.INTENT_WRITTEN, Step.OBJECT_WRITTEN, Step.MARK_WRITTEN, Step.MARK_NOTED])
def test_the_first_of_all(server_place, step):
    """It marks the storage, and a worker takes the mark for an upload that was given up."""
    stand_still(Task(server_place, (("create",),), Moment(str(step), waits=True)))


@pytest.mark.parametrize("name", ["ledger save twice", "storage save twice"])
def test_between_two_transactions(server_place, name):
    """What was saved is named when its time is over: by another attempt, after the first one was rolled back."""
    stand_still(Task(server_place, ((name,),), Moment(str(Step.INTENTS_EXPIRED), waits=True)))


@pytest.mark.parametrize(
    "step", [Step.INTENTS_TAKEN, Step.LOCKED, Step.CONDEMNED, Step.DELETING, Step.OBJECT_DELETED, Step.INTENTS_DROPPED]
)
@pytest.mark.parametrize("is_over", [False, True], ids=["for a moment", "beyond its lease"])
def test_a_worker(server_place, step, is_over):
    """Another one does the rest meanwhile, waits for nothing, and takes over what it had begun."""
    assert not Task(server_place, (WORK,)).run()
    asyncio.run(let_time_pass(server_place))
    slow = Task(server_place, moment=Moment(str(step), waits=True), mutant=SMALL_BATCHES)
    stand_still(slow, is_over=is_over)


@pytest.mark.parametrize("step", WITHOUT_A_LOCK)
def test_an_application_that_is_stopped_beyond_its_grace(place, step):
    """By a signal and by real time: all its clocks go on, and nothing in it notices before it is woken."""
    assert not Task(place).run()
    brief = replace(place, seconds=1.0)
    stop(Task(brief, (AT_STEPS[step],), Moment(str(step), stops=True), tolerated=(FileGoneException,)))


@pytest.mark.parametrize("step", [Step.LOCKED, Step.CONDEMNED, Step.DELETING, Step.OBJECT_DELETED])
def test_a_worker_that_is_stopped_beyond_its_lease(server_place, step):
    assert not Task(server_place, (WORK,)).run()
    asyncio.run(let_time_pass(server_place))
    brief = replace(server_place, seconds=1.0)
    stop(Task(brief, moment=Moment(str(step), stops=True), mutant=SMALL_BATCHES))


def stop(slow):
    assert slow.start().has_stopped(), "it never came there"
    asyncio.run(wait_until_over(slow.place))
    assert not Task(slow.place, passes=2).run()
    slow.wake()
    assert not slow.end()
    assert asyncio.run(judge(replace(slow.place, seconds=None))) == CLEAN  # whose worker has the time it needs
