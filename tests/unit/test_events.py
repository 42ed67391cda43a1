import asyncio
import logging
from contextlib import aclosing

import pytest

from async_storages import FileNotFoundException, FileTooLargeException, LocalStorage, MemoryStorage, events
from async_storages.events import Event, Operation
from tests.support.streams import stream


@pytest.fixture
def seen(monkeypatch):
    """The events of a test."""
    happened = []
    monkeypatch.setattr(events, "hooks", [happened.append])
    return happened


@pytest.fixture
async def storage(seen):
    """A storage with one file, whose upload has been forgotten."""
    async with MemoryStorage() as opened:
        await opened.upload(b"x" * 10, "a.txt")
        seen.clear()
        yield opened


def shown(happened):
    return [(event.operation, event.bytes, event.outcome) for event in happened]


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda storage: storage.upload(stream(b"ab", b"c"), "b.txt"), ("write", 3, "ok")),
        (lambda storage: storage.save(b"abc"), ("write", 3, "ok")),
        (lambda storage: storage.read("a.txt"), ("stream", 10, "ok")),
        (lambda storage: storage.get_size("a.txt"), ("stat", 0, "ok")),
        (lambda storage: storage.exists("a.txt"), ("stat", 0, "ok")),
        (lambda storage: storage.delete("a.txt"), ("delete", 0, "ok")),
        (lambda storage: storage.url("a.txt"), ("url", 0, "ok")),
        (lambda storage: storage.copy("a.txt", "b.txt"), ("copy", 10, "ok")),
        (lambda storage: storage.exists("missing"), ("stat", 0, "FileNotFoundException")),
    ],
    ids=["upload", "save", "read", "get_size", "exists", "delete", "url", "copy", "exists-not"],
)
async def test_each_operation_tells_of_itself_once(storage, seen, use, expected):
    await use(storage)
    assert shown(seen) == [expected]
    assert (seen[0].scheme, seen[0].bucket) == ("mem", None)
    assert 0 <= seen[0].duration < 60


@pytest.mark.parametrize(
    ("use", "error", "expected"),
    [
        (lambda storage: storage.read("missing"), FileNotFoundException, ("stream", 0, "FileNotFoundException")),
        (
            lambda storage: storage.upload(b"abc", "b", max_size=2),
            FileTooLargeException,
            ("write", 0, "FileTooLargeException"),
        ),
        (lambda storage: storage.upload(stream(KeyError()), "b"), KeyError, ("write", 0, "KeyError")),
        (
            lambda storage: storage.upload(stream(asyncio.CancelledError()), "b"),
            asyncio.CancelledError,
            ("write", 0, "cancelled"),
        ),
    ],
    ids=["missing", "too-large", "foreign", "cancelled"],
)
async def test_a_failed_operation_tells_what_happened(storage, seen, use, error, expected):
    with pytest.raises(error):
        await use(storage)
    assert shown(seen) == [expected]


async def test_a_stream_counts_what_was_taken_and_tells_when_it_ends(storage, seen):
    async with aclosing(storage.stream("a.txt", chunk_size=4)) as chunks:
        await anext(chunks)
        assert seen == []
    assert shown(seen) == [("stream", 4, "abandoned")]


async def test_a_stream_that_nobody_asks_for_is_no_operation(storage, seen):
    await storage.stream("a.txt").aclose()
    assert seen == []


async def test_a_copy_that_reads_and_writes_is_one_operation(seen, tmp_path):
    async with LocalStorage(tmp_path) as storage:
        await storage.upload(b"abc", "a.txt")
        seen.clear()
        await storage.copy("a.txt", "b.txt")
    assert shown(seen) == [("copy", 3, "ok")]


def test_an_operation_within_another_ends_first(seen):
    with Operation("outer", "mem", None), Operation("inner", "mem", None) as inner:
        inner.bytes += 5
    assert shown(seen) == [("inner", 5, "ok"), ("outer", 0, "ok")]


async def test_every_hook_is_called_in_order_whatever_the_others_do(storage, seen, caplog):
    order = []

    def broken(event):
        order.append("broken")
        raise LookupError("no such meter")

    events.hooks[:] = [lambda _: order.append("first"), broken, lambda _: order.append("last")]
    assert await storage.read("a.txt") == b"x" * 10
    assert order == ["first", "broken", "last"]
    [record] = caplog.records
    assert record.name == "async_storages"
    assert "broken" in record.getMessage()
    assert record.exc_info[0] is LookupError


async def test_a_hook_may_remove_itself(storage, seen):
    def once(event):
        events.hooks.remove(once)
        seen.append("once")

    events.hooks.insert(0, once)
    await storage.exists("a.txt")
    assert [getattr(item, "operation", item) for item in seen] == ["once", "stat"]


@pytest.mark.parametrize(
    ("bucket", "line"),
    [(None, "write on s3: ok, 5 bytes in 1500.0 ms"), ("media", "write on s3:media: ok, 5 bytes in 1500.0 ms")],
)
def test_the_ready_hook_logs_a_line(bucket, line, caplog):
    caplog.set_level(logging.DEBUG, "async_storages")
    events.log(Event(operation="write", scheme="s3", bucket=bucket, bytes=5, duration=1.5, outcome="ok"))
    assert [record.getMessage() for record in caplog.records] == [line]


async def test_no_event_holds_a_key(storage, seen):
    await storage.save(b"x", "secret-name.txt", folder="secret-folder")
    await storage.exists("secret-name.txt")
    assert "secret" not in repr(seen)
