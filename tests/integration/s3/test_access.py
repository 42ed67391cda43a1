"""Who may do what, and where: keys, servers, URLs, prefixes, clocks, regions."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from async_storages.backends.s3 import wire
from async_storages.backends.s3.storage import S3Storage
from async_storages.backends.transport.retries import Retries
from async_storages.errors import (
    AccessDeniedException,
    FileNotFoundException,
    InvalidArgumentException,
    RouteNotSupportedException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.testing.contract.http import request
from async_storages.testing.contract.operations import FIVE, Use, uses_of
from async_storages.testing.faults import Answer, request_header
from tests.support.patience import time_flies
from tests.support.s3 import FAST
from tests.support.scripted import reply, scripted

TWICE = replace(FAST, retries=Retries(attempts=2, base=0))
WITHOUT_A_SERVER = {"url", "get_path", "presign", "presign_many", "presign_post"}
WRITES = {"write", "upload", "save", "copy", "set_metadata", "delete", "delete_many", "upload in parts"}


@pytest.fixture
def part_size():
    return 1 << 18


async def upload_in_parts(storage, key):
    await storage.upload(bytes(1 << 19), key)


async def refusals(storage, key="file.txt", names=None):
    """Every operation that asks the server, or those named, all at once; what each raised, having said what it was."""
    uses = {**await uses_of(storage), "upload in parts": Use(upload_in_parts, "write")}
    names = (uses.keys() if names is None else names) - WITHOUT_A_SERVER
    outcomes = await asyncio.gather(*(uses[name].call(storage, key) for name in names), return_exceptions=True)
    for name, outcome in zip(names, outcomes, strict=True):
        assert isinstance(outcome, Exception), f"{name} succeeded"
        assert outcome.operation == uses[name].event, name
    return {name: type(outcome) for name, outcome in zip(names, outcomes, strict=True)}


@asynccontextmanager
async def unchanged(storage):
    """What the bucket holds, unfinished uploads included."""
    before = await state(storage)
    yield
    assert await state(storage) == before


async def state(storage):
    files = [(info.file_id, info.etag) async for info in storage.list()]
    return files, await storage._client.list_multipart_uploads(storage.bucket)


# ---- refused by the server


REFUSED = {
    "wrong key": {"aws_access_key_id": "nobody"},
    "wrong secret": {"aws_secret_access_key": "wrong"},
    "unknown token": {"aws_session_token": "unknown"},
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
async def test_keys_that_the_server_does_not_accept(storage, s3_server, part_size, options):
    await storage.upload(FIVE, "file.txt")
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    async with (
        unchanged(storage),
        S3Storage(storage.bucket, endpoint_url=s3_server.endpoint_url, part_size=part_size, **keys | options) as wrong,
    ):
        assert set((await refusals(wrong)).values()) == {AccessDeniedException}


async def test_who_may_only_read_changes_nothing(s3, s3_server):
    storage, reader = await s3(s3_server.bucket), await s3(s3_server.bucket, reader=True)
    await storage.upload(FIVE, "file.txt")
    async with unchanged(storage):
        assert set((await refusals(reader, names=WRITES)).values()) == {AccessDeniedException}
        assert await reader.read("file.txt") == FIVE
    await storage.delete("file.txt")


async def test_a_bucket_that_is_not_there(s3):
    """An answer to HEAD does not tell it from a missing file; SeaweedFS makes buckets for whoever writes."""
    storage = await s3("missing-bucket")
    refused = await refusals(storage, names={"read", "stat", "get_size", "list", "copy", "set_metadata"})
    asked = {name: kind.__name__ for name, kind in refused.items()}
    missing, other = FileNotFoundException.__name__, StorageOperationException.__name__
    assert asked == {"stat": missing, "get_size": missing, "copy": missing, "set_metadata": missing} | {
        "read": other,
        "list": other,
    }
    assert not await storage.exists("file.txt")


# ---- no server that answers


@asynccontextmanager
async def saying(greeting, *, ends=False):
    """A server that says this to whoever connects, and then no more or that it is done; its URL."""
    left = []

    async def serve(reader, writer):
        left.append(asyncio.current_task())
        writer.write(greeting)
        if ends:
            writer.write_eof()
        while await reader.read(1 << 16):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
        await asyncio.gather(*left, return_exceptions=True)


@asynccontextmanager
async def down():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


SERVERS = {
    "down": down,
    "half-closed connection": lambda: saying(b"", ends=True),
    "half-closed in the header": lambda: saying(b"HTTP/1.1 200 OK\r\nContent-", ends=True),
    "silent": lambda: saying(b""),
    "not HTTP": lambda: saying(b"SSH-2.0-OpenSSH_9.6\r\n"),
}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_a_server_that_does_not_answer(s3, server):
    async with server() as url:
        storage = await s3(endpoint_url=url, options=TWICE)
        with time_flies():
            assert set((await refusals(storage)).values()) == {StorageUnavailableException}
        await storage.aclose()


async def test_tls_with_a_server_that_speaks_none(s3, s3_server):
    storage = await s3(endpoint_url=urlsplit(s3_server.endpoint_url).netloc, use_ssl=True, options=TWICE)
    assert set((await refusals(storage)).values()) == {StorageOperationException}  # which trying again does not change


async def test_a_host_that_nobody_knows(s3, monkeypatch):
    def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    storage = await s3(endpoint_url="http://nowhere.invalid", options=TWICE)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert set((await refusals(storage)).values()) == {StorageUnavailableException}


async def test_a_server_that_comes_back_is_used_again(storage, s3_server):
    await storage.upload(FIVE, "file.txt")
    await asyncio.to_thread(s3_server.kill)
    try:
        with pytest.raises(StorageUnavailableException):
            await storage.read("file.txt")
    finally:
        await asyncio.to_thread(s3_server.start)
    assert await storage.read("file.txt") == FIVE


# ---- URLs


def tampered(url):
    return url[:-1] + ("0" if url[-1] != "0" else "1")


async def test_urls_that_are_expired_or_altered_change_nothing(storage, monkeypatch):
    await storage.upload(FIVE, "file.txt")
    async with unchanged(storage):
        for method, body in (("GET", None), ("PUT", b"new"), ("DELETE", None)):
            with monkeypatch.context() as earlier:
                earlier.setattr(wire, "_local_time", ahead(timedelta(hours=-1)))
                expired = storage.presign("file.txt", 60, method)
            for url in (expired, tampered(storage.presign("file.txt", 60, method))):
                assert (await request(method, url, body)).status == 403


@pytest.mark.parametrize("expires_in", [0, 604_801])
async def test_urls_for_no_time_or_too_long_are_refused(storage, expires_in):
    for attempt in (storage.file("a").get_presigned_url, lambda seconds: storage.presign_post("a", seconds)):
        with pytest.raises(InvalidArgumentException, match=f"expires_in must be 1 to 604800 seconds, not {expires_in}"):
            await attempt(expires_in)


# ---- prefixes


TAKE_NO_ID = {"save", "list", "ping"}
OUTSIDE = ["secret.txt", "uploads.txt", "uploads2/secret.txt", "Uploads/secret.txt"]


@pytest.fixture
async def confined(storage, s3):
    """A storage that keeps to a folder, in a bucket with files beside it, which are still there afterwards."""
    for key in OUTSIDE:
        await storage.upload(FIVE, key)
    yield await s3(prefix="uploads")
    kept = {info.file_id.partition("/")[2]: info.etag async for info in storage.list()}
    assert {key for key in kept if not key.startswith("uploads/")} == set(OUTSIDE)
    assert len({kept[key] for key in OUTSIDE}) == 1


async def test_every_operation_stays_below_the_prefix(confined):
    """Whether it is given a key, which is relative to it, or a full id."""
    for name, use in (await uses_of(confined)).items():
        await use.call(confined, await confined.upload(FIVE, "file.txt"))
        if name not in TAKE_NO_ID:
            await confined.upload(FIVE, "file.txt")
            await use.call(confined, f"s3:{confined.bucket}/uploads/file.txt")


@pytest.mark.parametrize("key", OUTSIDE)
async def test_no_operation_reaches_a_file_beside_the_prefix(confined, key):
    """Its id is refused, and its key is that of another file."""
    uses = await uses_of(confined)
    for name in uses.keys() - TAKE_NO_ID:
        with pytest.raises(RouteNotSupportedException):
            await uses[name].call(confined, f"s3:{confined.bucket}/{key}")
    with pytest.raises(RouteNotSupportedException):
        await confined.copy(await confined.upload(b"new", "new.txt"), f"s3:{confined.bucket}/{key}")
    assert not await confined.exists(key)


async def test_a_listing_is_of_the_prefix_and_relative_to_it(confined):
    for key in ("a.txt", "uploads/b.txt"):
        await confined.upload(FIVE, key)

    async def listed(*prefix):
        return [info.file_id.partition("/")[2] async for info in confined.list(*prefix)]

    assert await listed() == ["uploads/a.txt", "uploads/uploads/b.txt"]
    assert await listed("a") == ["uploads/a.txt"]
    assert await listed("uploads/") == ["uploads/uploads/b.txt"]
    assert await listed("../") == await listed("2") == []


# ---- clocks


def ahead(difference):
    real = wire._local_time
    return lambda: real() + difference


FIRST = {
    "put": lambda storage: storage.upload(b"new", "new.txt"),
    "multipart": lambda storage: storage.upload(bytes(1 << 19), "new.txt"),
    "get": lambda storage: storage.read("file.txt"),
    "head": lambda storage: storage.get_size("file.txt"),
    "list": lambda storage: anext(storage.list()),
    "delete": lambda storage: storage.delete("file.txt"),
}


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
async def test_a_wrong_clock_is_noticed_once(storage, proxied, proxy, monkeypatch, first, hours):
    """On the real server, which refuses what is more than 15 minutes off; URLs are right from then on, too."""
    await storage.upload(FIVE, "file.txt")
    behind = await proxied(options=replace(FAST, retries=Retries(attempts=1)))
    # the storage's clock alone: the event loop's and the proxy's stay right
    monkeypatch.setattr(wire, "_local_time", ahead(timedelta(hours=hours)))
    await first(behind)
    assert proxy.requests[0] == proxy.requests[1]
    asked = len(proxy.requests)
    await behind.upload(FIVE, "file.txt")
    assert (await request("GET", behind.presign("file.txt", 60))).body == FIVE
    assert len(proxy.requests) == asked + 2


# ---- regions


@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
async def test_a_redirect_to_another_region_is_followed(storage, proxied, proxy, first, status):
    await storage.upload(FIVE, "file.txt")
    behind = await proxied(options=replace(FAST, retries=Retries(attempts=1)))
    proxy.inject(Answer(status, headers={"x-amz-bucket-region": "eu-west-1"}), request_header())
    await first(behind)
    assert proxy.requests[0] == proxy.requests[1]
    assert "eu-west-1" in behind.presign("file.txt")


async def test_on_aws_a_redirect_leads_to_the_regions_own_host(monkeypatch):
    def answer(asked):
        if asked.headers["Host"] == "photos.s3.amazonaws.com":
            return reply(301, x_amz_bucket_region="eu-west-1")
        return reply(200, FIVE, ETag='"e"') if asked.method == "GET" else reply(200, ETag='"e"')

    async with scripted(answer) as server:
        port = urlsplit(server.url).port
        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, _, *options: real("127.0.0.1", port, *options))
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        async with S3Storage("photos", use_ssl=False, **keys) as storage:
            await storage.upload(FIVE, "file.txt")
            assert await storage.read("file.txt") == FIVE
            assert storage.presign("file.txt").startswith("http://photos.s3.eu-west-1.amazonaws.com/file.txt?")
    there = "photos.s3.eu-west-1.amazonaws.com"
    assert [(asked.method, asked.headers["Host"], asked.body) for asked in server.asked] == [
        ("PUT", "photos.s3.amazonaws.com", FIVE),
        ("PUT", there, FIVE),
        ("GET", there, b""),
    ]
    assert "/eu-west-1/s3/" in server.asked[1].headers["Authorization"]


async def test_a_redirect_that_names_no_region_is_an_error(proxied, proxy):
    """As that of a captive portal; it is not followed to wherever it leads."""
    elsewhere = Answer(301, headers={"Location": "http://127.0.0.1:1/"})
    proxy.inject(elsewhere, request_header(), times=None)
    storage = await proxied()
    assert set((await refusals(storage)).values()) == {StorageOperationException}
