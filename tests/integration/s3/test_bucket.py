"""Setting buckets up, on the real server; and what it is like when that is refused."""

import asyncio
from contextlib import closing
from uuid import uuid4

import aiohttp
import boto3
import pytest
from yarl import URL

from async_storages.backends.s3.storage import S3Storage
from async_storages.errors import (
    AccessDeniedException,
    InvalidArgumentException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.testing.faults import Answer, Reset, request_header, response_header
from tests.support.s3 import FAST
from tests.support.scripted import reply, scripted


@pytest.fixture
def new_bucket(s3_server):
    """The name of a bucket that is not there; it may be made."""
    name = f"test-{uuid4().hex}"
    yield name
    s3_server.drop_bucket(name)


@pytest.fixture
def ask_boto(s3_server):
    """Ask the server by way of boto3."""
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    client = boto3.client("s3", endpoint_url=s3_server.endpoint_url, region_name="us-east-1", **keys)
    with closing(client):
        yield lambda name, **options: asyncio.to_thread(getattr(client, name), **options)


# ---- the bucket itself


@pytest.mark.parametrize("region", [None, "eu-west-1"])
async def test_a_bucket_is_made_once_and_removed(s3, new_bucket, region):
    admin = (await s3(new_bucket, region_name=region)).bucket_admin
    assert not await admin.exists()
    for _ in range(2):
        await admin.create()
        assert await admin.exists()
    await admin.delete()
    assert not await admin.exists()


async def test_a_bucket_is_made_though_the_answer_was_lost(proxied, proxy, new_bucket):
    lost = proxy.inject(Reset(), response_header(), when=lambda method, path: method == "PUT")
    admin = (await proxied(bucket=new_bucket, options=FAST)).bucket_admin
    await admin.create()
    assert lost.fired
    assert await admin.exists()


KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
REGIONS = {
    "default": (lambda: KEYS, b""),
    "given": (lambda: KEYS | {"region_name": "eu-west-1"}, b"eu-west-1"),
    "of a profile": (lambda: {"session": boto3.Session(**KEYS, region_name="eu-west-2")}, b"eu-west-2"),
}


@pytest.mark.parametrize(("options", "region"), REGIONS.values(), ids=REGIONS)
async def test_a_bucket_is_made_in_its_region(options, region):
    async with (
        scripted(lambda asked: reply()) as server,
        S3Storage("photos", endpoint_url=server.url, **options()) as storage,
    ):
        await storage.bucket_admin.create()
    [asked] = server.asked
    assert asked.body.partition(b"<LocationConstraint>")[2].partition(b"<")[0] == region


# ---- CORS


ALLOWED = "https://app.example.com"


async def preflight(url, origin, method="PUT"):
    """The headers of the answer to what a browser asks before it uploads from a page of that origin."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    async with aiohttp.request("OPTIONS", URL(url, encoded=True), headers=asked) as answer:
        return answer.headers


async def test_browsers_may_upload_from_the_origins_that_were_allowed_last(storage):
    url = storage.presign("file.txt", method="PUT", content_type="text/plain")
    await storage.bucket_admin.allow_origins(["https://before.example.com"])
    await storage.bucket_admin.allow_origins([ALLOWED, "https://*.example.org"], max_age=600)
    for origin in (ALLOWED, "https://a.example.org"):
        allowed = await preflight(url, origin)
        assert allowed["Access-Control-Allow-Origin"] == origin
        assert "PUT" in allowed["Access-Control-Allow-Methods"]
        assert allowed["Access-Control-Max-Age"] == "600"
    for other in ("https://before.example.com", "https://evil.example.com", "null"):
        assert "Access-Control-Allow-Origin" not in await preflight(url, other)
    assert "DELETE" not in (await preflight(url, ALLOWED, "DELETE")).get("Access-Control-Allow-Methods", "")


# ---- lifecycle


async def test_files_expire_below_the_prefixes_that_were_said(storage, ask_boto):
    """Rules of others stay as they are."""
    foreign = {
        "ID": "others <&>",
        "Status": "Disabled",
        "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "1"}]}},
        "Expiration": {"Days": 90},
    }
    await ask_boto(
        "put_bucket_lifecycle_configuration", Bucket=storage.bucket, LifecycleConfiguration={"Rules": [foreign]}
    )
    for prefix, days in (("exports/", 3), ("a & <b>/", 30), ("", 365), ("exports/", 5)):
        await storage.bucket_admin.expire(prefix, days=days)
    answer = await ask_boto("get_bucket_lifecycle_configuration", Bucket=storage.bucket)
    assert answer["Rules"] == [
        foreign,
        *(
            {
                "ID": f"async-storages:{prefix}",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "Expiration": {"Days": days},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": upload_days},
            }
            for prefix, days, upload_days in (("a & <b>/", 30, 7), ("", 365, 7), ("exports/", 5, 5))
        ),
    ]


async def test_unfinished_uploads_expire_and_files_stay(storage, ask_boto):
    await storage.bucket_admin.expire("exports/", days=3)
    for prefix, days in (("", 2), ("videos/", 5), ("", 1)):
        await storage.bucket_admin.expire_uploads(prefix, days=days)
    answer = await ask_boto("get_bucket_lifecycle_configuration", Bucket=storage.bucket)
    assert [rule["ID"] for rule in answer["Rules"][:1]] == ["async-storages:exports/"]
    assert answer["Rules"][1:] == [
        {
            "ID": f"async-storages-uploads:{prefix}",
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
        }
        for prefix, days in (("videos/", 5), ("", 1))
    ]


@pytest.mark.parametrize("expire", ["expire", "expire_uploads"])
async def test_nothing_expires_at_once(storage, expire):
    with pytest.raises(InvalidArgumentException, match=rf"bucket\.{expire}: days is .*: give 1 or more"):
        await getattr(storage.bucket_admin, expire)("exports/", days=0)


# ---- refused

CALLS = {
    "exists": lambda admin: admin.exists(),
    "create": lambda admin: admin.create(),
    "delete": lambda admin: admin.delete(),
    "allow_origins": lambda admin: admin.allow_origins(["*"]),
    "expire": lambda admin: admin.expire("", days=1),
    "expire_uploads": lambda admin: admin.expire_uploads(),
}
EVERY_CALL = pytest.mark.parametrize("name", CALLS)


async def refused(name, storage, kind, reason):
    with pytest.raises(kind, match=reason) as caught:
        await CALLS[name](storage.bucket_admin)
    assert (caught.value.operation, caught.value.file_id) == (f"bucket.{name}", f"s3:{storage.bucket}")


@EVERY_CALL
async def test_who_may_not_is_told(s3, name):
    await refused(name, await s3(reader=True), AccessDeniedException, "403")


@EVERY_CALL
async def test_a_server_that_fails_is_asked_again_and_then_given_up(proxied, proxy, name):
    proxy.inject(Answer.s3_error("SlowDown"), request_header(), times=None)
    await refused(name, await proxied(options=FAST), StorageUnavailableException, "503")
    assert len(proxy.requests) == FAST.retries.attempts


async def test_a_name_that_somebody_else_has_is_refused(proxied, proxy):
    proxy.inject(Answer.s3_error("BucketAlreadyExists", 409), request_header())
    await refused("create", await proxied(), StorageOperationException, "somebody else has a bucket of this name")


async def test_lifecycle_rules_that_cannot_be_read_are_not_overwritten(proxied, proxy):
    proxy.inject(Answer(200, b"<html>"), request_header())
    await refused("expire", await proxied(), StorageOperationException, "web page")
    assert [asked.method for asked in proxy.requests] == ["GET"]
