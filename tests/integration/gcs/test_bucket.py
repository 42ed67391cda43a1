"""Setting buckets up; and what it is like when that is refused."""

import json
from uuid import uuid4

import httpx
import pytest

from async_storages.backends.gcs.wire import JSON, Request, bucket_path
from async_storages.errors import (
    AccessDeniedException,
    InvalidArgumentException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.testing.faults import Answer, Reset, request_header, response_header
from tests.support.gcs import FAST
from tests.support.patience import TIME_OUT

NEW = f"new-{uuid4().hex}"


async def settings(storage, **changes):
    """What the server knows of the bucket, after these changes."""
    wire = storage._client.wire
    about = {"path": bucket_path(storage.bucket)}
    if changes:
        await wire.exchange(Request(method="PATCH", **about, headers=JSON, body=wire.json(changes)))
    return json.loads((await wire.exchange(Request(method="GET", **about))).body)


def by(method):
    return lambda asked, path: asked == method and path.startswith("/storage/")


async def test_a_bucket_is_made_once_and_removed(proxied, proxy):
    """Though the answer was lost."""
    admin = (await proxied(bucket=NEW, options=FAST)).bucket_admin
    assert not await admin.exists()
    lost = proxy.inject(Reset(), response_header(), when=by("POST"))
    for _ in range(2):
        await admin.create(project="project", location="EU")
        assert await admin.exists()
    assert lost.fired
    await admin.delete()
    assert not await admin.exists()


async def test_browsers_may_upload_from_the_origins_that_were_allowed_last(storage):
    for origins in (["https://before.example.com"], ["https://app.example.com", "https://b.example.com"]):
        await storage.bucket_admin.allow_origins(origins, max_age=600)
        [rule] = (await settings(storage))["cors"]
        assert (rule["origin"], rule["maxAgeSeconds"]) == (origins, 600)
        assert {"PUT", "POST", "GET"} <= {*rule["method"]}
        assert {"Content-Type", "x-goog-content-length-range"} <= {*rule["responseHeader"]}


async def test_files_expire_below_the_prefixes_that_were_said(proxied, proxy):
    """Rules of others stay as they are, and nothing is lost where an answer is."""
    storage = await proxied(options=FAST)
    others = [
        {"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["exports/"], "isLive": False}},
        {"action": {"type": "SetStorageClass", "storageClass": "COLDLINE"}, "condition": {"age": 90}},
    ]
    await settings(storage, lifecycle={"rule": others})
    proxy.inject(Reset(), response_header(), when=by("PATCH"))
    proxy.inject(Answer(409), request_header(), when=by("PATCH"))
    for prefix, days in (("exports/", 3), ("a & b/", 30), ("", 365), ("exports/", 5)):
        await storage.bucket_admin.expire(prefix, days=days)
    assert (await settings(storage))["lifecycle"]["rule"] == [
        *others,
        {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["a & b/"]}},
        {"action": {"type": "Delete"}, "condition": {"age": 365}},
        {"action": {"type": "Delete"}, "condition": {"age": 5, "matchesPrefix": ["exports/"]}},
    ]


async def test_files_do_not_expire_at_once(storage):
    with pytest.raises(InvalidArgumentException, match=r"bucket\.expire: days is .*: give 1 or more"):
        await storage.bucket_admin.expire("exports/", days=0)


# ---- refused

CALLS = {
    "exists": lambda admin: admin.exists(),
    "create": lambda admin: admin.create(),
    "delete": lambda admin: admin.delete(),
    "allow_origins": lambda admin: admin.allow_origins(["*"]),
    "expire": lambda admin: admin.expire("", days=1),
}
REFUSALS = {
    "forbidden": (Answer(403), AccessDeniedException, "403"),
    "in trouble": (Answer(429), StorageUnavailableException, "429"),
}


@pytest.mark.parametrize(("answer", "kind", "reason"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("name", CALLS)
async def test_who_is_refused_is_told(proxied, proxy, name, answer, kind, reason):
    storage = await proxied(options=FAST)
    proxy.inject(answer, request_header(), times=None, when=lambda method, path: path.startswith("/storage/"))
    with pytest.raises(kind, match=reason) as caught:
        await CALLS[name](storage.bucket_admin)
    assert (caught.value.operation, caught.value.file_id) == (f"bucket.{name}", f"gs:{storage.bucket}")


async def test_where_requesters_pay_the_project_that_does_is_named(gate, gcs):
    """In requests of every kind, and in what is signed."""
    gate.payer = "payer"
    paid = await gcs(user_project="payer")
    await paid.upload(bytes(9 << 20), "a")
    await paid.copy("a", "b")
    await paid.set_metadata("b", {"a": "1"})
    await paid.delete("a")
    assert [len(await paid.read(info.file_id)) async for info in paid.list()] == [9 << 20]
    [put], [get] = [await paid.presigned_urls(["c"], method=method) for method in ("PUT", "GET")]
    async with httpx.AsyncClient(timeout=TIME_OUT) as browser:
        assert (await browser.put(put, content=b"c")).status_code == 200
        assert (await browser.get(get)).content == b"c"


@pytest.mark.parametrize("attempt", [lambda storage: storage.read("a"), lambda storage: storage.ping()])
async def test_where_requesters_pay_and_nobody_does_it_is_said_what_to_do(gate, storage, attempt):
    gate.payer = "payer"
    with pytest.raises(AccessDeniedException, match="give a user_project"):
        await attempt(storage)


async def test_a_name_that_somebody_else_has_is_refused(proxied, proxy):
    proxy.inject(Answer(409), request_header(), when=by("POST"))
    proxy.inject(Answer(403), request_header(), when=by("GET"))
    with pytest.raises(StorageOperationException, match="somebody else has a bucket of this name"):
        await (await proxied()).bucket_admin.create()


async def test_lifecycle_rules_that_cannot_be_read_are_not_overwritten(proxied, proxy):
    proxy.inject(Answer(200, b"<html>"), request_header(), when=by("GET"))
    with pytest.raises(StorageOperationException, match=r"bucket\.expire 'gs:.*not what was asked for"):
        await (await proxied()).bucket_admin.expire("", days=1)
    assert "PATCH" not in [asked.method for asked in proxy.requests]
