"""Storages that nobody closes, in several loops, and after a fork."""

import pytest

from tests.support.lifetimes import PROGRAMS, check_silent

BEGINNING = """
import sys
from async_storages import S3Storage

url, bucket, key, secret = sys.argv[1:]
storage = S3Storage(bucket, endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret)
MISSING = "missing.txt"

async def left(prefix):
    return [info async for info in storage.list(prefix)] + await storage._client.list_multipart_uploads(bucket)
"""


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_is_printed(s3_server, s3_bucket, program):
    keys = (s3_server.access_key_id, s3_server.secret_access_key)
    check_silent(BEGINNING, program, s3_server.endpoint_url, s3_bucket, *keys)
