"""The databases that tests run on, for modules whose SQL all of them understand."""

import os

import asyncpg
import pytest
from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.exc import DBAPIError

from tests.integration.conftest import POSTGRES_DRIVER

MARIADB_DRIVER = os.environ.get("ASYNC_STORAGES_MARIADB_DRIVER", "asyncmy")

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
only_servers = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)

LOST = (DBAPIError, asyncpg.InternalClientError)
"""Errors of a statement on a lost connection. SQLAlchemy 2.0.37 does not translate the second one."""

DATABASES_THAT_END_THREADS = [
    *(["sqlite"] if hasattr(AsyncAdapt_aiosqlite_connection, "terminate") else []),
    "postgresql",
    "mariadb",
]
"""SQLAlchemy 2.0.37 never ends the thread of a connection of aiosqlite when closing it is cancelled."""


@pytest.fixture(name="database_url", params=["sqlite", "postgresql", "mariadb"])
def every_database(request):
    """The URL of an empty database; imported into a module, it takes the place of that of its folder."""
    if request.param == "mariadb":
        return request.getfixturevalue("mariadb_database").replace("+asyncmy", f"+{MARIADB_DRIVER}")
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_database").replace("+asyncpg", f"+{POSTGRES_DRIVER}")
    return request.getfixturevalue("sqlite_url")


async def cut_connection(engine, session):
    """Let a server end the connection of a session, which has a transaction."""
    async with engine.connect() as other:
        if engine.dialect.name == "mysql":
            thread = await session.scalar(select(func.connection_id()))
            await other.exec_driver_sql(f"KILL {thread}")
            return
        pid = await session.scalar(select(func.pg_backend_pid()))
        await other.execute(select(func.pg_terminate_backend(pid)))
