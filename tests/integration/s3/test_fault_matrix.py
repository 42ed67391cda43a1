"""Every operation, with every fault, in every place: the right result or the right exception, and nothing left behind.

A fault that happens once is survived. One that happens each time ends in a StorageUnavailableException, unless the
server did what it was asked for, and could be asked whether it had.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import shake_256
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from async_storages.backends.s3 import multipart
from async_storages.backends.transport.retries import Retries
from async_storages.content import as_content
from async_storages.errors import StorageOperationException, StorageUnavailableException
from async_storages.naming import UniqueKey
from async_storages.testing.contract.sources import pieces_later
from async_storages.testing.faults import (
    CONNECT,
    Answer,
    Delay,
    Duplicate,
    Fault,
    Place,
    Refuse,
    Reset,
    Throttle,
    Truncate,
    request_body,
    request_header,
    response_body,
    response_header,
)
from tests.support.patience import Stall
from tests.support.s3 import FAST, proxy_to, s3_storage

pytestmark = pytest.mark.matrix

ONCE = replace(FAST, retries=Retries(attempts=5, base=0))
ALWAYS = replace(FAST, retries=Retries(attempts=2, base=0))
OLD, NEW = shake_256(b"old").digest(100_000), shake_256(b"new").digest(200_000)
ONE_PART = 5 << 20  # bytes, the fewest that S3 takes for a part that is not the last
LARGE = bytes(ONE_PART) + NEW


# ---- operations


@dataclass(frozen=True)
class Operation:
    """What is done, and which of its requests the fault happens to.

    Attributes:
        run: Takes the storage and the folder of the case, where it makes the file `new`, or removes `gone`.
        is_hit: Of a method and a path with its query.
        result: What `run` returns; None if that does not matter.
        stores: The content of the `new` file, for operations that make one.
        removes: Whether it removes the file `gone`.
        has_request_body: Whether the request has a body.
        has_response_body: Whether the answer has one.
        can_ask: Whether an answer that is lost can be told from a request that failed.
    """

    run: Callable[[Any, str], Awaitable[object]]
    is_hit: Callable[[str, str], bool]
    result: object = None
    stores: bytes | None = None
    removes: bool = False
    has_request_body: bool = False
    has_response_body: bool = False
    can_ask: bool = False


def by_method(method):
    return lambda asked, path: asked == method


def by_query(method, flag):
    return lambda asked, path: asked == method and flag in path.partition("?")[2]


async def ranged(storage, folder):
    async with aclosing(storage.stream("kept/old", 10_000, 50_000)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def listed(storage, folder):
    return [info.file_id.rpartition("/")[2] async for info in storage.list("kept/")]


def upload(content, **options):
    return lambda storage, folder: storage.upload(content, f"{folder}/new", **options)


async def upload_large(storage, folder):
    """As `save` does, under a key of which we know."""
    async with as_content(pieces_later(LARGE), None, {}) as content:
        return await storage.write(content, UniqueKey(f"{folder}/new"), overwrite=False)


OPERATIONS = {
    "put": Operation(upload(NEW), by_method("PUT"), stores=NEW, has_request_body=True, can_ask=True),
    "create": Operation(
        upload(NEW, overwrite=False), by_method("PUT"), stores=NEW, has_request_body=True, can_ask=True
    ),
    "begin multipart": Operation(upload_large, by_query("POST", "uploads"), stores=LARGE, has_response_body=True),
    "part": Operation(upload_large, by_query("PUT", "partNumber=2"), stores=LARGE, has_request_body=True),
    "complete multipart": Operation(
        upload_large,
        by_query("POST", "uploadId"),
        stores=LARGE,
        has_request_body=True,
        has_response_body=True,
        can_ask=True,
    ),
    "copy": Operation(
        lambda storage, folder: storage.copy("kept/old", f"{folder}/new", overwrite=False),
        by_method("PUT"),
        stores=OLD,
        has_response_body=True,
        can_ask=True,
    ),
    "get": Operation(
        lambda storage, folder: storage.read("kept/old"), by_method("GET"), result=OLD, has_response_body=True
    ),
    "ranged get": Operation(ranged, by_method("GET"), result=OLD[10_000:60_000], has_response_body=True),
    "head": Operation(lambda storage, folder: storage.get_size("kept/old"), by_method("HEAD"), result=len(OLD)),
    "delete": Operation(lambda storage, folder: storage.delete(f"{folder}/gone"), by_method("DELETE"), removes=True),
    "delete many": Operation(
        lambda storage, folder: storage.delete_many([f"{folder}/gone", f"{folder}/missing"]),
        by_query("POST", "delete"),
        removes=True,
        has_request_body=True,
        has_response_body=True,
    ),
    "list": Operation(listed, by_query("GET", "list-type"), result=["old", "older"], has_response_body=True),
}

# ---- faults and places

FAULTS: dict[str, Fault] = {
    "refuse": Refuse(),
    "reset": Reset(),
    "truncate": Truncate(),
    "stall": Stall(),
    "delay": Delay(0.05),
    "throttle": Throttle(2_000_000),
    "500": Answer.s3_error("InternalError", 500),
    "503": Answer(503),
    "SlowDown": Answer.s3_error("SlowDown"),
    "duplicate": Duplicate(),
}
PLACES: dict[str, Place] = {
    "connect": CONNECT,
    "request header": request_header("middle"),
    "request body first": request_body(),
    "request body middle": request_body("middle"),
    "request body last": request_body(-1),
    "response header": response_header(),
    "response header middle": response_header("middle"),
    "response body first": response_body(),
    "response body middle": response_body("middle"),
    "response body last": response_body(-1),
}


@dataclass(frozen=True)
class Case:
    operation: str
    fault: str
    place: str
    always: bool

    def __str__(self):
        return f"{self.operation} - {self.fault} - {self.place} - {'always' if self.always else 'once'}"

    @property
    def is_possible(self):
        operation, fault, part = OPERATIONS[self.operation], FAULTS[self.fault], PLACES[self.place].part
        rules = [
            operation.has_request_body or part != "request body",
            operation.has_response_body or part != "response body",
            # who connects first is hit: the later requests of a multipart upload use what is connected
            part != "connect" or self.operation not in {"part", "complete multipart"},
            part == "connect" or not isinstance(fault, Refuse),
            part != "connect" or not isinstance(fault, Answer | Duplicate),
            # what has begun to be answered cannot be answered otherwise
            not isinstance(fault, Answer) or self.place in {"request header", "request body middle", "response header"},
            # what is only slow comes to its end each time as it does once
            not self.always or not isinstance(fault, Delay | Throttle | Duplicate),
            # S3 sends no checksum of a range, so nothing tells wrong bytes from right ones; what is sent twice from
            # within the header may hold the body's beginning
            self.operation != "ranged get" or self.fault != "duplicate" or not part.startswith("response"),
        ]
        return all(rules)

    @property
    def outcome(self):
        """The exception that is expected, if any."""
        operation, part = OPERATIONS[self.operation], PLACES[self.place].part
        is_known_to_be_done = operation.can_ask and part.startswith("response")
        return StorageUnavailableException if self.always and not is_known_to_be_done else None


CASES = [
    case for case in (Case(*each) for each in product(OPERATIONS, FAULTS, PLACES, (False, True))) if case.is_possible
]


def test_the_matrix_is_whole():
    assert len(CASES) == 917


# ---- the test


@pytest.fixture(scope="module")
def bucket(s3_server):
    s3_server.create_bucket("fault-matrix")
    asyncio.run(keep_old(s3_server))
    yield "fault-matrix"
    s3_server.drop_bucket("fault-matrix")


async def keep_old(server):
    async with s3_storage(server, "fault-matrix") as storage:
        await storage.upload(OLD, "kept/old")
        await storage.upload(OLD, "kept/older")


@pytest.fixture
async def direct(s3_server, bucket):
    async with s3_storage(s3_server, bucket) as storage:
        yield storage


@pytest.fixture
async def proxy(s3_server):
    async with proxy_to(s3_server) as proxy:
        yield proxy


@pytest.fixture
async def storage(s3_server, bucket, proxy, case, monkeypatch):
    if case.fault == "stall":  # time flies for a part beside it, too, which the server may be busy with
        monkeypatch.setattr(multipart, "IN_FLIGHT", 1)
    options = ALWAYS if case.always else ONCE
    known = {"part_size": ONE_PART, "conditional_writes": True}  # else the faults would meet the probe
    async with s3_storage(s3_server, bucket, endpoint_url=proxy.url, options=options, **known) as storage:
        yield storage


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_fault(storage, direct, proxy, case):
    operation, place, folder = OPERATIONS[case.operation], PLACES[case.place], uuid4().hex
    if operation.removes:
        await direct.upload(b"gone", f"{folder}/gone")
    injection = proxy.inject(
        FAULTS[case.fault],
        place,
        times=None if case.always else 1,
        when=None if place == CONNECT else operation.is_hit,
    )

    failure = await failure_of(operation, storage, folder)

    assert injection.fired
    if case.fault == "duplicate":
        assert failure is None or isinstance(failure, StorageOperationException)
    else:
        assert type(failure) is (case.outcome or type(None)), failure
    await check_state(direct, folder, operation, failed=failure is not None)

    injection.release()
    await storage.upload(NEW, f"{folder}/after")
    assert await storage.read(f"{folder}/after") == NEW


async def failure_of(operation, storage, folder):
    """The exception; None if the result is right."""
    try:
        result = await operation.run(storage, folder)
    except StorageOperationException as failure:
        return failure
    assert operation.result is None or result == operation.result
    return None


async def check_state(direct, folder, operation, *, failed):
    """What was to be made is there whole, or not at all; what was to be removed is gone; no upload is open."""
    there = [info.file_id.rpartition("/")[2] async for info in direct.list(f"{folder}/")]
    if operation.stores is not None and not failed:
        assert there == ["new"]
        assert await direct.read(f"{folder}/new") == operation.stores
    else:
        assert there == [] or (there == ["gone"] and failed)
    assert await direct._client.list_multipart_uploads(direct.bucket, folder) == []
