"""Protocols with something wrong are noticed, in the moments that the right one is made for."""

import asyncio

import pytest

from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from tests.faults.harness import killed_at
from tests.faults.mutants import MUTANTS
from tests.faults.places import CLEAN, judge
from tests.faults.processes import Moment, Task


def named_while_it_is_deleted(place, mutant):
    """A worker has condemned a file, and before it deletes it somebody names it."""
    run(place, "drop")
    worker = Task(place, moment=Moment(str(Step.DELETING), waits=True), mutant=mutant).start()
    worker.wait()
    run(place, "restore", mutant)
    worker.go_on()
    worker.end()


def named_before_the_worker_comes(place, mutant):
    run(place, "drop")
    run(place, "restore")
    Task(place, mutant=mutant).run()


def killed_after_the_upload(place, mutant):
    assert killed_at(place, Step.OBJECT_WRITTEN, mutant)


def killed_after_the_delete(place, mutant):
    """A worker dies when it has deleted a file, which somebody then names."""
    run(place, "drop")
    assert Task(place, moment=Moment(str(Step.OBJECT_DELETED)), mutant=mutant).run()
    run(place, "restore")


def killed_at_its_end(place, mutant):
    """A worker dies when it has forgotten what it has deleted."""
    run(place, "drop")
    assert Task(place, moment=Moment(str(Step.FORGOTTEN)), mutant=mutant).run()


def run(place, name, mutant=None):
    assert not Task(place, ((name,),), mutant=mutant).run()


LOST, LEAKED = "lost", "leaked"
SCENES = {
    "no fence": (named_while_it_is_deleted, LOST),
    "no second look": (named_before_the_worker_comes, LOST),
    "no journal": (killed_after_the_upload, LEAKED),
    "published before the announcement is committed": (killed_after_the_upload, LEAKED),
    "deleted before it is committed": (killed_after_the_delete, LOST),
    "forgotten before it is deleted": (killed_at_its_end, LEAKED),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_noticed(server_place, mutant):
    scene, what = SCENES[mutant]
    scene(server_place, mutant)
    assert getattr(asyncio.run(judge(server_place)), what)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_nothing_is_wrong_without_the_mutation(server_place, mutant):
    scene, _ = SCENES[mutant]
    scene(server_place, None)
    assert asyncio.run(judge(server_place)) == CLEAN
