"""What all depends on is gone for a while."""

import asyncio

import pytest

from async_storages import StorageException
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from tests.faults.places import CLEAN, Place, judge, prepare
from tests.faults.postgres import killable_postgres
from tests.faults.processes import Moment, Task

LANE = ("create", "replace", "drop", "restore", "create several", "savepoint rolled back", "delete row", "ledger save")


@pytest.fixture
def s3_that_stops(s3_server):
    """It runs again after the test."""
    yield s3_server
    s3_server.start()


def test_storage_down(s3_place, s3_that_stops):
    """Files that could not be deleted are tried again when the lease is over; nobody can upload meanwhile."""
    assert not Task(s3_place, (("drop",) * 3, ("roll back",))).run()
    worker = Task(s3_place, moment=Moment(str(Step.DELETING), waits=True)).start()
    worker.wait()
    s3_that_stops.kill()
    worker.go_on()
    assert not Task(s3_place, (("create", "replace"),), tolerated=(StorageException,)).run()
    assert not worker.end()
    s3_that_stops.start()
    early = Task(s3_place)
    assert not early.run()
    assert [drained.failed for drained in worker.told] == [5]
    assert [drained.deleted for drained in early.told] == [0]  # of what was to be uploaded nobody knows the end
    assert asyncio.run(judge(s3_place)) == CLEAN


def test_postgres_killed(tmp_path):
    """Again and again, while sessions commit and a worker is at work."""
    with killable_postgres() as server:
        place = Place(server.url, str(tmp_path / "files"))
        asyncio.run(prepare(place))
        for times in (7, 30, 60):
            apps = [Task(place, (LANE, LANE), tolerated=(Exception,), speaks=each == 0).start() for each in range(2)]
            worker = Task(place, passes=None, tolerated=(Exception,)).start()
            apps[0].listen(times)
            server.kill()
            assert not any(app.end() for app in apps)
            worker.kill()
            worker.end()
            server.start()
            assert asyncio.run(judge(place)) == CLEAN
