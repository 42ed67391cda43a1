"""Several workers at once, over one backlog; and applications whose transactions see an older database."""

import asyncio
from dataclasses import replace

import pytest

from tests.faults.mutants import SMALL_BATCHES
from tests.faults.operations import OPERATIONS
from tests.faults.places import CLEAN, judge, let_time_pass
from tests.faults.processes import Task


@pytest.fixture
def backlog(server_place):
    """24 files that nobody names."""
    assert not Task(server_place, (("drop",) * 6, ("drop",) * 6, ("roll back",) * 6)).run()
    asyncio.run(let_time_pass(server_place))
    return 24


@pytest.mark.parametrize("count", [2, 3, 8])
def test_at_once(server_place, backlog, count):
    workers = [Task(server_place, mutant=SMALL_BATCHES).start() for _ in range(count)]
    assert not any(worker.end() for worker in workers)
    assert sum(drained.deleted for worker in workers for drained in worker.told) == backlog
    assert asyncio.run(judge(server_place)) == CLEAN


@pytest.mark.parametrize(
    ("place", "isolation"),
    [
        *(("postgresql", each) for each in ("REPEATABLE READ", "SERIALIZABLE")),
        *(("mariadb", each) for each in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")),
    ],
    indirect=["place"],
)
def test_isolation(place, isolation):
    place = replace(place, isolation=isolation)
    worker = Task(place, passes=None).start()
    forwards, backwards = tuple(OPERATIONS), tuple(reversed(OPERATIONS))
    apps = [Task(place, lanes).start() for lanes in [(forwards, backwards), (backwards,)]]
    assert not any(app.end() for app in apps)
    worker.kill()
    worker.end()
    assert asyncio.run(judge(place)) == CLEAN
