"""Every operation, with every fault, at the tracker and at the storage, in every place: the right result or error.

A fault that happens once is survived, unless what was sent could take effect twice. One that happens each time ends in
a StorageUnavailableException. Nothing is done twice, what was not done leaves nothing behind, and the client goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import shake_256
from itertools import product
from typing import Any

import pytest

from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.backends.transport.retries import Retries
from async_storages.errors import StorageOperationException, StorageUnavailableException
from async_storages.testing import FastDFSServer
from async_storages.testing.faults import (
    CONNECT,
    Delay,
    Duplicate,
    Fault,
    Refuse,
    Reset,
    Truncate,
    to_client,
    to_upstream,
)
from tests.support.fastdfs import FAST, fastdfs_cluster, opened_by, proxies_to
from tests.support.patience import Stall

pytestmark = pytest.mark.matrix

SEVERAL = replace(FAST, retries=Retries(attempts=4, base=0))
ALWAYS = replace(FAST, retries=Retries(attempts=2, base=0), passed_over_for=0.0)
OLDEST, NEWEST = "5.11", "6.16.1"
OLD, NEW = shake_256(b"old").digest(100_000), shake_256(b"new").digest(200_000)
METADATA = {"author": "somebody", "title": "something"}
HEADER = 10
GROUP_AND_NAME = 16 + 44

# ---- operations


@dataclass(frozen=True)
class Operation:
    """What is done, and the sizes of the bodies on the wire by which the places of the faults are found.

    Attributes:
        run: Takes the client and the id of the file `old`; returns what is compared to `result`.
        result: None if that does not matter.
        tracker: The bodies of the request to the tracker and of its reply.
        storage: Those of the request to the storage and of its reply; None if that is not asked.
        makes: The content of the file it makes.
        leaves: What `old` holds when it is done; None if that is gone.
        is_appender: Whether `old` is one.
        is_repeatable: Whether it may be tried again when it may have been done.
    """

    run: Callable[[Any, str], Awaitable[object]]
    result: object = None
    tracker: tuple[int, int] = (GROUP_AND_NAME, 39)
    storage: tuple[int, int] | None = None
    makes: bytes | None = None
    leaves: bytes | None = OLD
    is_appender: bool = False
    is_repeatable: bool = True


async def pieces():
    for start in range(0, len(NEW), 50_000):
        yield NEW[start : start + 50_000]


async def downloaded(client, *arguments):
    async with aclosing(client.download(*arguments)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def size_of(client, old):
    return (await client.info(old)).size


async def group_names(client, old):
    return [group.name for group in await client.list_groups()]


async def active_storages(client, old):
    return [storage.is_active for storage in await client.list_storages("group1")]


def making(run, *, fields=15, tracker=(0, 40)):
    storage = (fields + len(NEW), GROUP_AND_NAME)
    return Operation(run, tracker=tracker, storage=storage, makes=NEW, is_repeatable=False)


OPERATIONS = {
    "upload": making(lambda client, old: client.upload(NEW, "bin")),
    "upload of unknown size": making(lambda client, old: client.upload(pieces(), "bin")),
    "appender": making(lambda client, old: client.upload(NEW, "bin", appender=True)),
    "slave": making(
        lambda client, old: client.upload_slave(NEW, old, "_small", "bin"),
        fields=38 + 44,
        tracker=(GROUP_AND_NAME, 39),
    ),
    "append": Operation(
        lambda client, old: client.append(old, NEW),
        storage=(16 + 44 + len(NEW), 0),
        leaves=OLD + NEW,
        is_appender=True,
        is_repeatable=False,
    ),
    "modify": Operation(
        lambda client, old: client.modify(old, 10, NEW),
        storage=(24 + 44 + len(NEW), 0),
        leaves=OLD[:10] + NEW,
        is_appender=True,
        is_repeatable=False,
    ),
    "truncate": Operation(
        lambda client, old: client.truncate(old, 10), storage=(16 + 44, 0), leaves=OLD[:10], is_appender=True
    ),
    "regenerate": Operation(
        lambda client, old: client.regenerate(old),
        storage=(44, GROUP_AND_NAME),
        makes=OLD,
        leaves=None,
        is_appender=True,
        is_repeatable=False,
    ),
    "delete": Operation(lambda client, old: client.delete(old), storage=(GROUP_AND_NAME, 0), leaves=None),
    "download": Operation(downloaded, OLD, storage=(16 + GROUP_AND_NAME, len(OLD))),
    "read": Operation(lambda client, old: client.read(old), OLD, storage=(16 + GROUP_AND_NAME, len(OLD))),
    "ranged download": Operation(
        lambda client, old: downloaded(client, old, 10_000, 50_000),
        OLD[10_000:60_000],
        storage=(16 + GROUP_AND_NAME, 50_000),
    ),
    "info": Operation(size_of, len(OLD), storage=(GROUP_AND_NAME, 40)),
    "metadata": Operation(
        lambda client, old: client.get_metadata(old), METADATA, storage=(GROUP_AND_NAME, len("author-somebody") + 16)
    ),
    "replace metadata": Operation(
        lambda client, old: client.set_metadata(old, METADATA), storage=(33 + 44 + len("author-somebody") + 16, 0)
    ),
    "merge metadata": Operation(
        lambda client, old: client.set_metadata(old, METADATA, mode="merge"),
        storage=(33 + 44 + len("author-somebody") + 16, 0),
    ),
    "ping": Operation(lambda client, old: client.ping(), tracker=(0, 40), storage=(0, 0)),
    "groups": Operation(group_names, ["group1"], tracker=(0, 113)),
    "storages": Operation(active_storages, [True], tracker=(16, 487)),
}

OLD_STATISTICS = {"groups": 105, "storages": 612}
"""Bytes of what the tracker of an old version tells."""

# ---- faults and places

FAULTS: dict[str, Fault] = {
    "refuse": Refuse(),
    "reset": Reset(),
    "close": Truncate(),
    "truncate": Truncate(),
    "stall": Stall(),
    "delay": Delay(0.02),
    "duplicate": Duplicate(HEADER),
}
PLACES = [
    "connect",
    "request",
    "request header",
    "request body first",
    "request body middle",
    "request body last",
    "response",
    "response header",
    "response body first",
    "response body middle",
    "response body last",
]
SLOW = {"connect", "request body middle", "response", "response body middle"}


@dataclass(frozen=True)
class Case:
    operation: str
    at: str
    fault: str
    place: str
    always: bool
    version: str = NEWEST

    def __str__(self):
        return f"{self.operation} - {self.at} - {self.fault} - {self.place} - {'always' if self.always else 'once'}"

    @property
    def sizes(self):
        sizes = getattr(OPERATIONS[self.operation], self.at)
        if self.version == OLDEST and self.operation in OLD_STATISTICS:
            sizes = (sizes[0], OLD_STATISTICS[self.operation])
        return dict(zip(("request", "response"), sizes, strict=True)) if sizes else None

    @property
    def position(self):
        """Where the fault happens, which is on a new connection."""
        if self.place == "connect":
            return CONNECT
        direction, _, part = self.place.partition(" ")
        size = self.sizes[direction]
        offsets = {
            "": 0,
            "header": HEADER // 2,
            "body first": HEADER,
            "body middle": HEADER + size // 2,
            "body last": HEADER + size - 1,
        }
        return (to_upstream if direction == "request" else to_client)(offsets[part])

    @property
    def is_possible(self):
        if self.sizes is None:
            return False
        direction, _, part = self.place.partition(" ")
        return all(
            [
                part.startswith("body") <= (self.sizes.get(direction) != 0),
                self.fault in {"refuse", "stall"} if self.place == "connect" else self.fault != "refuse",
                # the end of the connection: between messages it is a close, within one it is cut short
                self.fault != "close" or part == "",
                self.fault != "truncate" or part != "",
                # to a client that waits these are all places there are
                self.fault != "stall" or self.place in SLOW,
                not (self.fault == "stall" and self.always) or (self.place, self.at) == ("response", "storage"),
                # what is only slow comes to its end each time as it does once
                self.fault != "delay" or (self.place in SLOW and not self.always),
                # nothing tells wrong bytes from right ones, except where a checksum, or the lack of a body, does
                self.fault != "duplicate"
                or (self.place == "response" and not self.always and self.at == "storage" and self.can_tell),
            ]
        )

    @property
    def can_tell(self):
        return self.operation in {"download", "read"} or self.sizes["response"] == 0

    @property
    def is_resumed(self):
        """Whether the next reply is shorter than where the fault happens."""
        return (
            self.operation in {"download", "read", "ranged download"}
            and self.at == "storage"
            and self.place in {"response body middle", "response body last"}
        )

    @property
    def may_be_done(self):
        """Whether the storage may have done what it failed to say."""
        return self.at == "storage" and self.place.startswith("response")

    @property
    def outcomes(self):
        """The exceptions that are right; None for the right result."""
        if self.fault == "delay":
            return {None}
        if self.fault == "duplicate":
            return {None, StorageOperationException}
        if self.always and not self.is_resumed:
            return {StorageUnavailableException}
        # how much has left when the connection breaks is known to the system only
        is_survived = OPERATIONS[self.operation].is_repeatable or self.at == "tracker"
        return {None} if is_survived else {None, StorageUnavailableException}


CASES = [
    case
    for case in (Case(*each) for each in product(OPERATIONS, ("tracker", "storage"), FAULTS, PLACES, (False, True)))
    if case.is_possible
]


def test_the_matrix_is_whole():
    assert len(CASES) == 1608
    assert {(case.at, case.fault) for case in CASES} >= set(
        product(("tracker", "storage"), ("refuse", "reset", "close", "truncate", "stall", "delay"))
    )


# ---- the test


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_fault(case):
    await check(case)


@pytest.mark.parametrize(
    "case", [replace(case, version=OLDEST) for case in CASES if case.operation != "regenerate"], ids=str
)
async def test_fault_of_the_oldest_version(case):
    """Which has other checksums in its ids, and cannot regenerate."""
    await check(case)


async def check(case):
    operation = OPERATIONS[case.operation]
    async with FastDFSServer(version=case.version) as server:
        async with fastdfs_cluster(server) as direct:
            old = await direct.upload(OLD, "bin", appender=operation.is_appender)
            await direct.set_metadata(old, METADATA)
        async with (
            proxies_to(server) as proxies,
            FastDFSCluster(proxies.tracker_servers, options=ALWAYS if case.always else SEVERAL) as client,
        ):
            if case.version == OLDEST:
                client._checksums.note("group1")  # else each first file would be read twice, and places be others
            proxy = getattr(proxies, case.at)
            injection = proxy.inject(FAULTS[case.fault], case.position, times=None if case.always else 1)

            failure = await failure_of(operation, client, old)

            assert injection.fired
            assert any(failure is None if right is None else isinstance(failure, right) for right in case.outcomes), (
                failure
            )
            await check_state(server, client, old, case, failed=failure is not None)

            proxy.release()
            assert await downloaded(client, await client.upload(NEW, "bin")) == NEW
            assert len(set(await opened_by(client))) == 1  # all that are open are idle


async def failure_of(operation, client, old):
    """The exception; None if the result is right."""
    try:
        result = await operation.run(client, old)
    except StorageOperationException as failure:
        return failure
    assert operation.result is None or result == operation.result
    return None


async def check_state(server, client, old, case, *, failed):
    """What was to be made is there once and whole, or not at all; what was to be changed was changed once, or not."""
    operation = OPERATIONS[case.operation]
    kept = {
        file.file_id: await asyncio.to_thread((server.folder / on_disk(file.file_id)).read_bytes)
        for file in await server.files()
    }
    left = kept.pop(f"{old}-m", None)  # so FastDFS leaves the metadata of what is regenerated
    assert left is None or (case.operation == "regenerate" and failed)
    was, made = kept.pop(old, None), list(kept.values())
    done = (operation.leaves, [] if operation.makes is None else [operation.makes])
    not_done = (OLD, [])
    assert (was, made) in ([done] if not failed else [done, not_done] if case.may_be_done else [not_done])


def on_disk(file_id):
    return file_id.replace("/M00/", "/M00/data/")
