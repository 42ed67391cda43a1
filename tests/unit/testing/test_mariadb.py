"""A real MariaDB that starts anywhere, says why when it does not, and goes without a trace."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from async_storages.testing.mariadb import mariadb_server
from tests.support.patience import HANGS


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
async def test_both_drivers_find_it_by_its_socket_and_by_its_port(mariadb, mariadb_database, driver):
    by_socket = make_url(mariadb_database).set(drivername=f"mysql+{driver}")
    by_port = by_socket.set(host="127.0.0.1", port=mariadb.port, query={})
    for url in (by_socket, by_port):
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT DATABASE()")) == url.database
        await engine.dispose()


@pytest.mark.parametrize("name", ["shop", "with spaces, `quotes` and 'Ünicode'"])
async def test_a_dropped_database_is_gone_though_a_transaction_in_it_was_open(mariadb, name):
    await asyncio.to_thread(mariadb.create_database, name)
    engine = create_async_engine(make_url(mariadb.url()).set(database=name))  # SQLAlchemy 2.0.37 decodes no name
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE things (id INTEGER)"))
        await connection.execute(text("INSERT INTO things VALUES (1)"))
        await asyncio.to_thread(mariadb.drop_database, name)
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1"))
    await engine.dispose()
    with pytest.raises(DBAPIError, match="Unknown database"):
        await engine.connect()
    await engine.dispose()


def test_nothing_is_left_of_a_stopped_server():
    with mariadb_server() as server:
        assert (server.folder / "data" / "ibdata1").exists()
    assert not server.folder.exists()


def test_a_server_that_starts_removes_no_temporary_tables_of_others(mariadb):
    """It removes all in its folder for temporary files, and a server crashes whose temporary table is gone."""
    with mariadb_server() as other:
        for server in (mariadb, other):
            assert Path(server._execute("SELECT @@tmpdir").strip()) == server.folder


KILLED = """
import os, signal
from async_storages.testing.mariadb import mariadb_server
with mariadb_server() as server:
    print(server.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_server_whose_process_was_killed():
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    folder = Path(killed.stdout.strip())
    deadline = time.monotonic() + HANGS
    while folder.exists() and time.monotonic() < deadline:
        os.sched_yield()
    assert not folder.exists()


def test_a_server_that_does_not_start_is_reported(mariadb):
    with pytest.raises(RuntimeError, match="MariaDB did not start"), mariadb_server(Path("/bin/false")):
        pass


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="apt-get install mariadb-server"), mariadb_server():
        pass
