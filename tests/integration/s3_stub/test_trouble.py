"""Servers that are busy, restart, or never end."""

import asyncio
import time
from dataclasses import replace

import pytest

from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.retries import Retries
from async_storages.errors import StorageOperationException, StorageUnavailableException
from async_storages.testing import S3Stub
from async_storages.testing.s3_stub import Behaviours
from tests.support.s3 import FAST

READS = {
    "stat": lambda storage: storage.stat("a.txt"),
    "read": lambda storage: storage.read("a.txt"),
    "list": lambda storage: anext(storage.list()),
}
WRITES = {
    "save": lambda storage: storage.save(b"content", "b.txt"),
    "delete": lambda storage: storage.delete("a.txt"),
    "delete_many": lambda storage: storage.delete_many(["a.txt"]),
    "copy": lambda storage: storage.copy("a.txt", "b.txt"),
}
USES = READS | WRITES


@pytest.fixture
def pauses(monkeypatch):
    """The pauses of retries, which are not waited for, though the clock goes on by them."""
    waited = []
    sleep, clock = asyncio.sleep, time.monotonic

    async def pause(seconds):
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(waited))
    return waited


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_server_that_slows_us_down_is_waited_for_as_long_as_it_asks(on, pauses, use):
    stub, storage = await on(Behaviours(throttled=3, retry_after="7"), options=HttpOptions())
    stub.put("a.txt", b"content")
    await use(storage)
    assert [pause for pause in pauses if pause >= 7] == [7, 7, 7]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_server_is_not_waited_for_beyond_the_time_that_was_set(on, pauses, use):
    options = HttpOptions(retries=Retries(attempts=100, within=20))
    stub, storage = await on(Behaviours(throttled=1000, retry_after="7"), options=options)
    stub.put("a.txt", b"content")
    with pytest.raises(StorageUnavailableException, match="503") as caught:
        await use(storage)
    assert caught.value.retry_after == 7
    assert 14 <= sum(pauses) <= 20


async def test_a_server_that_asks_for_too_much_is_not_waited_for_at_all(on, pauses):
    _, storage = await on(Behaviours(throttled=1, retry_after="3600"), options=HttpOptions())
    with pytest.raises(StorageUnavailableException):
        await storage.stat("a.txt")
    assert pauses == []


async def test_a_date_in_retry_after_is_left_alone(on, pauses):
    behaviour = Behaviours(throttled=1, retry_after="Wed, 21 Oct 2099 07:28:00 GMT")
    stub, storage = await on(behaviour, options=HttpOptions())
    stub.put("a.txt", b"content")
    await storage.stat("a.txt")
    assert sum(pauses) <= 0.2


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("seconds", [2, 10])
async def test_a_restart_is_lived_through(pauses, use, seconds):
    """With the default options, whatever chance says; the pauses are not waited for."""
    async with S3Stub() as stub, stub.storage() as storage:
        stub.put("a.txt", b"content")
        await stub.aclose()

        async def start_in_time():
            while sum(pauses) < seconds:  # noqa: ASYNC110 - the pauses are a list
                await asyncio.sleep(0)
            await stub.start()

        async with asyncio.TaskGroup() as group:
            group.create_task(start_in_time())
            await use(storage)
    assert sum(pauses) >= seconds


async def test_a_ping_does_not_wait_for_long(pauses):
    async with S3Stub() as stub, stub.storage() as storage:
        await storage.ping()
        await stub.aclose()
        with pytest.raises(StorageUnavailableException):
            await storage.ping()
    assert sum(pauses) <= 1.5


# ---- answers without an end


async def ends(stub, storage, use):
    """The use of a server whose answers never end does, with an error, and nothing keeps coming."""
    async with asyncio.timeout(60):
        with pytest.raises((StorageOperationException, StorageUnavailableException)):
            await use(storage)
    return stub


QUICK = replace(FAST, answer_timeout=0.3, retries=Retries(attempts=2, base=0))


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_errors_without_an_end_end(on, use):
    stub, storage = await on(Behaviours(throttled=1000, endless=frozenset({"errors"})), options=FAST)
    await ends(stub, storage, use)


async def test_a_listing_without_an_end_ends(on):
    stub, storage = await on(Behaviours(endless=frozenset({"listings"})), options=FAST)
    stub.put("a.txt", b"content")
    with pytest.raises(StorageOperationException, match="too large"):
        await storage.ping()


@pytest.mark.parametrize("name", ["save", "delete_many", "copy"])
async def test_answers_to_writes_without_an_end_end(on, name):
    stub, storage = await on(Behaviours(endless=frozenset({"answers"})), options=FAST)
    stub.put("a.txt", b"content")
    with pytest.raises(StorageOperationException, match="too large"):
        await WRITES[name](storage)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_interim_answers_without_an_end_end(on, use):
    stub, storage = await on(Behaviours(endless=frozenset({"interim"})), options=replace(QUICK, pool_timeout=0.3))
    stub.put("a.txt", b"content")
    await ends(stub, storage, use)


@pytest.mark.parametrize("name", ["list", "delete_many"])
async def test_an_answer_that_drips_ends(on, name):
    stub, storage = await on(Behaviours(seconds_per_byte=0.05), options=QUICK)
    stub.put("a.txt", b"content")
    await ends(stub, storage, USES[name])


async def test_a_copy_of_which_the_answer_drips_is_looked_for(on):
    stub, storage = await on(Behaviours(seconds_per_byte=0.05), options=QUICK)
    stub.put("a.txt", b"content")
    async with asyncio.timeout(60):
        await storage.copy("a.txt", "b.txt")


async def test_an_error_that_drips_ends(on):
    stub, storage = await on(Behaviours(throttled=1000, seconds_per_byte=0.05), options=QUICK)
    await ends(stub, storage, USES["read"])


async def test_a_long_error_is_understood(on):
    stub, storage = await on(Behaviours(throttled=1000, endless=frozenset({"errors"})), options=FAST)
    stub.put("a.txt", b"content")
    with pytest.raises(StorageUnavailableException, match="503"):
        await storage.read("a.txt")
