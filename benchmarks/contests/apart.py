"""Contests of clients, each in a process of its own, on a server in another one."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial

from async_storages.testing.fastdfs_server import fastdfs_process
from async_storages.testing.gcs import fake_gcs_server
from async_storages.testing.seaweedfs import seaweedfs_server
from benchmarks.child import child
from benchmarks.contests import client
from benchmarks.contests.client import AT_ONCE, OF_CLOUD_STORAGE, OF_FASTDFS, OF_S3
from benchmarks.contests.contest import Contest
from benchmarks.engines import Server
from benchmarks.worker import Worker

__all__ = ["cloud_storage", "fastdfs_files", "s3_files"]

COUNTS = {OF_S3: 32, OF_FASTDFS: 96, OF_CLOUD_STORAGE: 32}
"""Small files of a turn."""


@contextmanager
def s3_files() -> Iterator[Contest]:
    with seaweedfs_server() as running:
        server = Server(running.endpoint_url, running.bucket, running.access_key_id, running.secret_access_key, None)
        with contest(OF_S3, "obstore", json.dumps(asdict(server))) as found:
            yield found


@contextmanager
def fastdfs_files() -> Iterator[Contest]:
    with fastdfs_process() as server, contest(OF_FASTDFS, "aiofdfs", server.tracker) as found:
        yield found


@contextmanager
def cloud_storage() -> Iterator[Contest]:
    with fake_gcs_server() as running:
        server = Server(running.endpoint_url, running.bucket, "", "", None)
        with contest(OF_CLOUD_STORAGE, "gcloud-aio-storage", json.dumps(asdict(server))) as found:
            yield found


@contextmanager
def contest(kind: str, peer: str, server: str) -> Iterator[Contest]:
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(child(client.__name__, kind, name, server)) for name in ("ours", peer))
        yield Contest(peer, partial(turn, ours, COUNTS[kind]), partial(turn, theirs, COUNTS[kind]), rounds=40)


def turn(process: Worker, count: int) -> dict[str, float]:
    return {operation: cost["cpu"] for operation, cost in process.ask("small", AT_ONCE, count).items()}
