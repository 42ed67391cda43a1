"""Places between which files are moved."""

import pytest

from tests.faults.conftest import s3_options
from tests.faults.moves.places import Place, prepare, run
from tests.faults.moves.processes import end_all


@pytest.fixture(autouse=True)
def none_left_moving():
    yield
    end_all()


KINDS = [("postgresql", True), ("postgresql", False), ("sqlite", True), ("mariadb", False)]


@pytest.fixture(params=KINDS, ids=[f"{kind}, {'ledger' if has_ledger else 'tracking'}" for kind, has_ledger in KINDS])
def place(request):
    return made(request, *request.param)


@pytest.fixture
def far_place(request):
    """From FastDFS to S3."""
    return made(request, "postgresql", True, is_far=True)


def made(request, kind, has_ledger, *, is_far=False):
    folder = request.getfixturevalue("tmp_path")
    database = f"sqlite+aiosqlite:///{folder / 'test.sqlite'}"
    if kind != "sqlite":
        database = request.getfixturevalue("mariadb_database" if kind == "mariadb" else "postgres_database")
    source, target = f"{folder}/files#old", f"{folder}/files#new"
    if is_far:
        source = request.getfixturevalue("fastdfs_server").tracker
        target = s3_options(request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket"))
    place = Place(database, source, target, has_ledger)
    run(prepare(place))
    return place
