"""Periodic exports: a CSV a day, streamed to the bucket, which removes it after 30 days by itself."""

import asyncio
import csv
import io
from contextlib import closing
from datetime import date

import boto3
import pytest

from async_storages import FileTooLargeException
from tests.support.s3 import open_uploads

MIB = 1 << 20
DAY = date(2026, 11, 22)


@pytest.fixture
def rules(s3_server, s3_bucket):
    """The lifecycle rules of the bucket, as boto3 reads them."""
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}

    def read():
        with closing(
            boto3.client("s3", endpoint_url=s3_server.endpoint_url, region_name="us-east-1", **keys)
        ) as client:
            return client.get_bucket_lifecycle_configuration(Bucket=s3_bucket)["Rules"]

    return lambda: asyncio.to_thread(read)


async def lines(rows):
    """The file as it is made, a batch of rows at a time."""
    for batch in rows:
        text = io.StringIO()
        csv.writer(text).writerows(batch)
        yield text.getvalue().encode()


async def export(storage, day, rows, **options):
    return await storage.upload(lines(rows), f"exports/{day}.csv", content_type="text/csv", **options)


async def keys_of(storage):
    return [info.file_id.partition("/")[2] async for info in storage.list()]


async def test_the_bucket_is_told_once_to_keep_them_for_30_days(storage, rules):
    """The job may say so each time it runs; uploads that were broken off go as well."""
    for _ in range(2):
        await storage.bucket_admin.expire("exports/", days=30)
    [rule] = await rules()
    assert (rule["Status"], rule["Filter"], rule["Expiration"]) == ("Enabled", {"Prefix": "exports/"}, {"Days": 30})
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


async def test_an_export_is_stored_while_it_is_made(storage):
    """More than fits into one request; no size is known before."""
    batch = [(number, "x" * 100) for number in range(10_000)]
    key = await export(storage, DAY, [batch] * 12)
    info = await storage.info(key)
    assert (key, info.content_type) == ("exports/2026-11-22.csv", "text/csv")
    assert info.file_size > 12 * MIB
    stored = (await storage.read(key)).decode()
    assert list(csv.reader(io.StringIO(stored, newline="")))[-1] == ["9999", "x" * 100]


async def test_a_job_that_runs_again_replaces_the_export_of_the_day(storage):
    for rows in ([[("first",)]], [[("second",)]]):
        await export(storage, DAY, rows)
    assert await keys_of(storage) == ["exports/2026-11-22.csv"]
    assert await storage.read("exports/2026-11-22.csv") == b"second\r\n"


def rows_that_fail():
    for _ in range(12):
        yield [("x" * MIB,)]
    raise RuntimeError("the database is gone")


FAILURES = {
    "the rows": (rows_that_fail, {}, RuntimeError),
    "the limit": (lambda: [[("x" * 99,)]], {"max_size": 9}, FileTooLargeException),
}


@pytest.mark.parametrize(("rows", "options", "error"), FAILURES.values(), ids=FAILURES)
async def test_an_export_that_fails_leaves_the_one_before_and_no_parts(storage, rows, options, error):
    await export(storage, DAY, [[("before",)]])
    with pytest.raises(error):
        await export(storage, DAY, rows(), **options)
    assert await storage.read("exports/2026-11-22.csv") == b"before\r\n"
    assert await open_uploads(storage) == []
