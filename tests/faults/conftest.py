"""Places to be killed over."""

import asyncio

import pytest

from tests.faults.places import Place, prepare
from tests.faults.processes import FORKS, end_all


@pytest.fixture(scope="session", autouse=True)
def forks():
    """The process that all others are forked from is there for the whole session."""
    first = FORKS.Process()
    first.start()
    first.join()
    first.close()


@pytest.fixture(autouse=True)
def none_left():
    yield
    end_all()


@pytest.fixture(params=["postgresql", "sqlite", "mariadb"])
def place(request):
    return made(request, request.param)


@pytest.fixture
def postgres_place(request):
    return made(request, "postgresql")


@pytest.fixture
def mariadb_place(request):
    return made(request, "mariadb")


@pytest.fixture(params=["postgresql", "mariadb"])
def server_place(request):
    return made(request, request.param)


@pytest.fixture
def s3_place(request):
    return made(request, "s3")


def made(request, kind, whole=None):
    """A Place: "postgresql", "mariadb" or "sqlite" and a folder, or PostgreSQL and "s3"; `whole` as for a Place."""
    folder = request.getfixturevalue("tmp_path")
    database = f"sqlite+aiosqlite:///{folder / 'test.sqlite'}"
    if kind != "sqlite":
        database = request.getfixturevalue("mariadb_database" if kind == "mariadb" else "postgres_database")
    storage = str(folder / "files")
    if kind == "s3":
        storage = s3_options(request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket"))
    place = Place(database, storage, whole)
    asyncio.run(prepare(place))
    return place


def s3_options(server, bucket):
    return {
        "bucket_name": bucket,
        "endpoint_url": server.endpoint_url,
        "aws_access_key_id": server.access_key_id,
        "aws_secret_access_key": server.secret_access_key,
    }
