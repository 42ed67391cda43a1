"""``S3_ENDPOINT``: the suite runs on a server that runs already."""

import os
import subprocess
import sys

import pytest

from async_storages.testing.real_s3 import RealS3Server

SUITE = """
from async_storages import S3Storage

pytest_plugins = ["async_storages.testing.fixtures"]


async def test_saved(s3_server, s3_bucket):
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    async with S3Storage(s3_bucket, endpoint_url=s3_server.endpoint_url, **keys) as storage:
        file = await storage.save(b"hello", "hello.txt")
        assert await file.read() == b"hello"


def test_of_a_reader(s3_server):
    s3_server.reader_access_key_id


def test_misspelled(s3_server):
    s3_server.endpoint
"""


@pytest.mark.parametrize("kind", ["moto_server", "minio_gateway"])
def test_the_server_of_the_environment(kind, request, tmp_path):
    server = request.getfixturevalue(kind)
    (tmp_path / "test_suite.py").write_text(SUITE)
    keys = {"AWS_ACCESS_KEY_ID": server.access_key_id, "AWS_SECRET_ACCESS_KEY": server.secret_access_key}
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-rs", "--rootdir", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path / "test_suite.py")],
        env={**os.environ, "S3_ENDPOINT": server.endpoint_url, **keys},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed, 1 skipped" in ended.stdout, ended.stdout + ended.stderr
    assert "is not ours: it has no reader_access_key_id" in ended.stdout
    assert "AttributeError: endpoint" in ended.stdout


def test_without_the_variable():
    assert RealS3Server.of({}) is None


def test_without_keys():
    with pytest.raises(pytest.fail.Exception, match="S3_ENDPOINT is set, but not AWS_ACCESS_KEY_ID"):
        RealS3Server.of({"S3_ENDPOINT": "http://127.0.0.1:1", "AWS_SECRET_ACCESS_KEY": "secret"})
