"""What a tracker told serves for other files, a few times and for a moment, and not where it may be wrong."""

import math
import time
from contextlib import aclosing
from dataclasses import replace

import pytest

from async_storages.backends.fastdfs.answer_cache import AnswerCache
from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.fastdfs.protocol import Command
from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageUnavailableException
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import FAST, ONCE, fastdfs_cluster

ENDLESS = Fault(cut=1 << 40)
"""Lets everything pass, and is counted."""


@pytest.fixture
def now(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
async def server():
    async with FastDFSServer() as server:
        yield server


async def read(client, file_id):
    async with aclosing(client.download(file_id)) as chunks:
        return b"".join([chunk async for chunk in chunks])


# ---- answers


def test_an_answer_serves_ten_times_more(now):
    answers = AnswerCache(1.0)
    answers.keep("group1", "a")
    assert [answers.recall("group1") for _ in range(12)] == ["a"] * 10 + [None] * 2


def test_answers_take_turns(now):
    answers = AnswerCache(1.0)
    answers.keep("group1", "a")
    answers.keep("group1", "b")
    assert "".join(answers.recall("group1") for _ in range(20)) == "ab" * 10
    assert answers.recall("group1") is None


def test_an_answer_serves_for_a_moment(now):
    answers = AnswerCache(1.0)
    answers.keep("group1", "a")
    now[0] += 0.9
    assert answers.recall("group1") == "a"
    now[0] += 0.2
    assert answers.recall("group1") is None


def test_an_answer_is_no_answer_to_another_question(now):
    answers = AnswerCache(1.0)
    answers.keep("group1", "a")
    assert answers.recall("group2") is None
    answers.forget()
    assert answers.recall("group1") is None


def test_an_answer_for_a_file_serves_for_older_ones(now):
    answers = AnswerCache(1.0)
    answers.keep("group1", "a", up_to=100)
    assert [answers.recall("group1", at) for at in (100, 101, 99)] == ["a", None, "a"]


def test_hostile_ids_fill_no_memory(now):
    answers = AnswerCache(1.0)
    for number in range(10_000):
        answers.keep(number, "a")
    assert sum(answers.recall(number) is not None for number in range(10_000)) <= 256


@pytest.mark.parametrize("seconds", [-1, math.nan])
def test_a_time_that_cannot_be(seconds):
    with pytest.raises(InvalidArgumentException, match="answers_kept_for"):
        FastDFSOptions(answers_kept_for=seconds)


# ---- in use


@pytest.mark.parametrize(("options", "asked"), [(FAST, 2), (replace(FAST, answers_kept_for=0), 22)], ids=["kept", "0"])
async def test_how_often_a_tracker_is_asked(server, options, asked):
    stores = server.inject(ENDLESS, Command.QUERY_STORE, times=None)
    fetches = server.inject(ENDLESS, Command.QUERY_FETCH, times=None)
    async with fastdfs_cluster(
        server, options=replace(options, answers_kept_for=60 * options.answers_kept_for)
    ) as client:
        files = [await client.upload(b"content") for _ in range(22)]
        assert (stores.fired, fetches.fired) == (asked, 0)
        for file_id in files:
            await client.info(file_id)
        assert fetches.fired == asked


async def test_a_ping_asks_a_tracker(server):
    async with fastdfs_cluster(server, options=ONCE) as client:
        await client.upload(b"content")
        await server.stop(server.tracker)
        with pytest.raises(StorageUnavailableException):
            await client.ping()


@pytest.mark.parametrize("appender", [False, True], ids=["slaves", "appenders"])
async def test_what_no_other_file_tells_of_is_asked_for(server, appender):
    """A slave has its master's time; an appender is read where it is changed."""
    command = Command.QUERY_UPDATE if appender else Command.QUERY_FETCH
    async with fastdfs_cluster(server) as client:
        file_id = await client.upload(b"content", appender=appender)
        if not appender:
            file_id = await client.upload_slave(b"content", file_id, "_small")
        asked = server.inject(ENDLESS, command, times=None)
        for _ in range(3):
            assert await read(client, file_id) == b"content"
        assert asked.fired == 3


async def test_a_server_that_failed_is_not_gone_to_again():
    """Though the tracker's answer was another one a moment ago, and no attempt is made twice."""
    async with FastDFSServer(storages_per_group=2) as server, fastdfs_cluster(server, options=ONCE) as client:
        file_id = await client.upload(b"content")
        await server.stop(server.storages[0].address, noticed=True)
        failures = 0
        for _ in range(20):
            try:
                assert await read(client, await client.upload(b"content")) == b"content"
                assert (await client.info(file_id)).size == 7
            except StorageUnavailableException:
                failures += 1
        assert failures <= 2


async def test_a_file_that_came_after_the_copies_is_found():
    options = {"storages_per_group": 2, "copy_delay": math.inf}
    async with FastDFSServer(**options) as server, fastdfs_cluster(server) as client:
        old = [await client.upload(b"old") for _ in range(4)]
        await server.copy()
        for turn in range(10):
            for file_id in old:
                assert await read(client, file_id) == b"old"
            new = await client.upload(b"new")
            assert (await client.info(new)).size == 3
            assert await read(client, new) == b"new"
            if turn % 2:
                await client.delete(new)
                with pytest.raises(FileNotFoundException):
                    await client.info(new)
