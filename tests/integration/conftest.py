"""The databases to test on, and a real virus scanner."""

import os

import pytest

from tests.support.clamd import clamd_server, found_clamd

POSTGRES_DRIVER = os.environ.get("ASYNC_STORAGES_POSTGRES_DRIVER", "asyncpg")  # noxfile.py says another


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_database").replace("+asyncpg", f"+{POSTGRES_DRIVER}")
    return f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture(scope="session")
def clamd():
    """A real clamd with three signatures, started for this session; 50 ms."""
    program = found_clamd()
    if program is None:
        pytest.skip("clamd is missing: apt-get install clamav-daemon")  # which fails under CI
    with clamd_server(program) as server:
        yield server
