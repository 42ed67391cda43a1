"""The databases that tests run on, for modules whose SQL all of them understand."""

import os

import pytest

from tests.integration.conftest import POSTGRES_DRIVER

MARIADB_DRIVER = os.environ.get("ASYNC_STORAGES_MARIADB_DRIVER", "asyncmy")


@pytest.fixture(name="database_url", params=["sqlite", "postgresql", "mariadb"])
def every_database(request):
    """The URL of an empty database; imported into a module, it takes the place of that of its folder."""
    if request.param == "mariadb":
        return request.getfixturevalue("mariadb_database").replace("+asyncmy", f"+{MARIADB_DRIVER}")
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_database").replace("+asyncpg", f"+{POSTGRES_DRIVER}")
    return request.getfixturevalue("sqlite_url")
