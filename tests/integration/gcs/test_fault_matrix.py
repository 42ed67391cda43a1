"""Every operation, with every fault, in every place: the right result or the right exception, and nothing left behind.

A fault that happens once is survived. One that happens each time ends in a StorageUnavailableException, unless the
server did what it was asked for, and could be asked whether it had.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import shake_256
from itertools import product
from typing import Any, NamedTuple

import pytest

from async_storages.backends.transport.retries import Retries
from async_storages.errors import StorageOperationException, StorageUnavailableException
from async_storages.testing.contract.sources import pieces_later
from async_storages.testing.faults import (
    Answer,
    Reset,
    Truncate,
    request_body,
    request_header,
    response_body,
    response_header,
)
from tests.support.gcs import FAST, gcs_storage
from tests.support.patience import Stall

ONCE = replace(FAST, retries=Retries(attempts=5, base=0))
ALWAYS = replace(FAST, retries=Retries(attempts=2, base=0))
OLD, NEW = shake_256(b"old").digest(100_000), shake_256(b"new").digest(200_000)
PART = 256 * 1024
LARGE = shake_256(b"large").digest(PART) + NEW
METADATA = {"a": "合同"}


class Asked(NamedTuple):
    """A request, and how many of its method there were with it."""

    method: str
    path: str
    count: int


@dataclass(frozen=True)
class Operation:
    """What is done, and which of its requests the fault happens to.

    Attributes:
        run: Takes the storage.
        is_hit: Of an `Asked`.
        result: What `run` returns; None if that does not matter.
        stores: The content of the `new` file, for operations that make one.
        lacks: Whether the request ("sends") or its answer ("gets") has no body.
        can_ask: Whether an answer that is lost can be told from a request that failed.
        is_plain: Whether it is sent and answered as "stat" is, so that few faults tell all.
    """

    run: Callable[[Any], Awaitable[object]]
    is_hit: Callable[[Asked], bool]
    result: object = None
    stores: bytes | None = None
    lacks: frozenset[str] = frozenset()
    can_ask: bool = False
    is_plain: bool = False


async def ranged(storage):
    async with aclosing(storage.stream("old", 10_000, 50_000)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def listed(storage):
    return [info.file_id.rpartition("/")[2] async for info in storage.list("old")]


def create(content):
    return lambda storage: storage.upload(pieces_later(content), "new", overwrite=False, metadata=METADATA)


SENDS, GETS = frozenset({"request body"}), frozenset({"response body"})
OPERATIONS = {
    "create": Operation(create(NEW), lambda asked: asked.method == "POST", stores=NEW, can_ask=True),
    "begin": Operation(create(LARGE), lambda asked: asked.method == "POST", stores=LARGE, lacks=GETS),
    "part": Operation(create(LARGE), lambda asked: asked.method == "PUT", stores=LARGE, lacks=GETS),
    "finish": Operation(
        create(LARGE), lambda asked: asked.method == "PUT" and asked.count > 1, stores=LARGE, can_ask=True
    ),
    "copy": Operation(
        lambda storage: storage.copy("old", "new", overwrite=False),
        lambda asked: asked.method == "POST",
        stores=OLD,
        can_ask=True,
    ),
    "get": Operation(lambda storage: storage.read("old"), lambda asked: True, result=OLD, lacks=SENDS),
    "ranged get": Operation(ranged, lambda asked: True, result=OLD[10_000:60_000], lacks=SENDS, is_plain=True),
    "stat": Operation(lambda storage: storage.get_size("old"), lambda asked: True, result=len(OLD), lacks=SENDS),
    "list": Operation(listed, lambda asked: True, result=["old", "older"], lacks=SENDS, is_plain=True),
    "delete": Operation(lambda storage: storage.delete("gone"), lambda asked: True, lacks=SENDS | GETS, is_plain=True),
    "metadata": Operation(
        lambda storage: storage.set_metadata("older", METADATA), lambda asked: asked.method == "PATCH", is_plain=True
    ),
}

FAULTS = {
    "503": (Answer(503), request_header()),
    "request reset": (Reset(), request_header("middle")),
    "request stalled": (Stall(), request_header("middle")),
    "body reset": (Reset(), request_body("middle")),
    "body cut": (Truncate(), request_body("middle")),
    "body stalled": (Stall(), request_body("middle")),
    "answer reset": (Reset(), response_header()),
    "answer cut": (Truncate(), response_header("middle")),
    "answer stalled": (Stall(), response_header()),
    "answer's body reset": (Reset(), response_body("middle")),
    "answer's body cut": (Truncate(), response_body("middle")),
    "503 always": (Answer(503), request_header()),
    "body reset always": (Reset(), request_body("middle")),
    "answer reset always": (Reset(), response_header()),
}
FEW = {"503", "body cut", "answer reset", "answer's body cut", "503 always"}

CASES = [
    (operation, fault)
    for operation, fault in product(OPERATIONS, FAULTS)
    if FAULTS[fault][1].part not in OPERATIONS[operation].lacks and (fault in FEW or not OPERATIONS[operation].is_plain)
]


@pytest.fixture
async def direct(gate, gcs_bucket):
    gate.token = None
    async with gcs_storage(gate, gcs_bucket, anonymous=True) as storage:
        for name in ("old", "older", "gone"):
            await storage.upload(OLD, name)
        yield storage


@pytest.mark.parametrize(("name", "fault"), CASES, ids=[" - ".join(case) for case in CASES])
async def test_fault(gate, gcs_bucket, direct, proxy, name, fault):
    operation, (kind, place), always = OPERATIONS[name], FAULTS[fault], fault.endswith("always")

    def is_hit(method, path):
        asked = sum(request.method == method for request in proxy.requests)
        return operation.is_hit(Asked(method, path, asked))

    injection = proxy.inject(kind, place, times=None if always else 1, when=is_hit)
    options = ALWAYS if always else ONCE
    async with gcs_storage(
        gate, gcs_bucket, endpoint_url=proxy.url, options=options, anonymous=True, part_size=PART
    ) as storage:
        failure = await failure_of(operation, storage)
        assert injection.fired
        can_be_known = operation.can_ask and place.part.startswith("response")
        expected = StorageUnavailableException if always and not can_be_known else type(None)
        assert type(failure) is expected, failure
        await check_state(direct, operation, failed=failure is not None)
        if not (name == "begin" and place.part.startswith("response")):  # the server alone knows of such a session
            assert gate.open_uploads == []

        injection.release()
        await storage.upload(NEW, "after")
        assert await storage.read("after") == NEW


async def failure_of(operation, storage):
    """The exception; None if the result is right."""
    try:
        result = await operation.run(storage)
    except StorageOperationException as failure:
        return failure
    assert operation.result is None or result == operation.result
    return None


async def check_state(direct, operation, *, failed):
    """What was to be made is there whole and described, or not at all."""
    there = [info.file_id.rpartition("/")[2] async for info in direct.list("new")]
    if operation.stores is None or failed:
        assert there == []
        return
    assert there == ["new"]
    assert await direct.read("new") == operation.stores
    if operation.stores != OLD:
        assert (await direct.stat("new")).metadata == METADATA
