"""The databases to test on, a real virus scanner, S3 servers of several makers, and certificates."""

import os

import pytest

from tests.support.clamd import clamd_server, found_clamd
from tests.support.s3_servers import other_s3_server
from tests.support.tls import certificates

POSTGRES_DRIVER = os.environ.get("ASYNC_STORAGES_POSTGRES_DRIVER", "asyncpg")  # noxfile.py says another


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_database").replace("+asyncpg", f"+{POSTGRES_DRIVER}")
    return request.getfixturevalue("sqlite_url")


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture
def trusted(tmp_path):
    """Certificates of an authority that clients are told to trust."""
    return certificates(tmp_path / "tls")


@pytest.fixture(scope="session")
def clamd():
    """A real clamd with three signatures, started for this session; 50 ms."""
    program = found_clamd()
    if program is None:
        pytest.skip("clamd is missing: apt-get install clamav-daemon")  # which fails under CI
    with clamd_server(program) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server():
    yield from started("moto")


@pytest.fixture(scope="session")
def minio_gateway():
    yield from started("minio-gateway")


@pytest.fixture(scope="session")
def ministack_server():
    yield from started("ministack")


def started(name):
    """Another S3 server, for this session."""
    try:
        with other_s3_server(name) as server:
            yield server
    except ImportError as missing:
        pytest.fail(str(missing), pytrace=False)
