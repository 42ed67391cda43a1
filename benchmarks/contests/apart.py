"""Contests of clients, each in a process of its own, on a server in another one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from async_storages.testing.fastdfs_server import fastdfs_process
from async_storages.testing.gcs import fake_gcs_server
from async_storages.testing.seaweedfs import seaweedfs_server
from benchmarks import fastdfs, gcs
from benchmarks.child import child
from benchmarks.contests.contest import Contest, Turn
from benchmarks.engines import Server
from benchmarks.worker import Worker, worker

__all__ = ["cloud_storage", "fastdfs_files", "s3_files"]

AT_ONCE = 8
import os

PEER = os.environ.get("PEER", "obstore")
S3_FILES, FASTDFS_FILES, CLOUD_FILES = 24, 80, 40


def small_files(process: Worker, count: int) -> Turn:
    """Operations on so many small files."""

    def turn() -> dict[str, float]:
        return {operation: cost["cpu"] for operation, cost in process.ask("small", AT_ONCE, count).items()}

    return turn


@contextmanager
def s3_files() -> Iterator[Contest]:
    with ExitStack() as stack:
        running = stack.enter_context(seaweedfs_server())
        server = Server(running.endpoint_url, running.bucket, running.access_key_id, running.secret_access_key, None)
        ours, theirs = (stack.enter_context(worker(name, server)) for name in ("ours", PEER))
        yield Contest(PEER, small_files(ours, S3_FILES), small_files(theirs, S3_FILES))


@contextmanager
def fastdfs_files() -> Iterator[Contest]:
    with ExitStack() as stack:
        server = stack.enter_context(fastdfs_process())
        ours, theirs = (stack.enter_context(child(fastdfs.__name__, name, server.tracker)) for name in fastdfs.ENGINES)
        yield Contest("aiofdfs", small_files(ours, FASTDFS_FILES), small_files(theirs, FASTDFS_FILES))


@contextmanager
def cloud_storage() -> Iterator[Contest]:
    with ExitStack() as stack:
        server = stack.enter_context(fake_gcs_server())
        place = (server.endpoint_url, server.bucket)
        names = ("ours", "gcloud-aio-storage")
        ours, theirs = (stack.enter_context(child(gcs.__name__, name, *place)) for name in names)
        yield Contest(names[1], small_files(ours, CLOUD_FILES), small_files(theirs, CLOUD_FILES))
