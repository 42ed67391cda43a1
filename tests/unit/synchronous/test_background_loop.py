"""Coroutines that synchronous code runs on the background event loop."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from async_storages import InvalidArgumentException
from async_storages.synchronous import background_loop
from async_storages.synchronous.background_loop import (
    allow_in_event_loop,
    call_back,
    iterate,
    run_sync,
    stop_background_loop,
)
from tests.support.patience import HANGS


async def thread():
    return threading.current_thread().name


def test_the_result_comes_from_another_thread():
    assert run_sync(thread()) == "async_storages"


def test_an_error_is_raised_here():
    async def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_sync(fail())


def test_all_calls_use_one_loop():
    async def loop():
        return asyncio.get_running_loop()

    assert run_sync(loop()) is run_sync(loop())


def test_context_variables_are_those_of_the_caller():
    tenant = ContextVar("tenant", default="nobody")
    tenant.set("acme")

    async def who():
        return tenant.get()

    assert run_sync(who()) == "acme"


async def test_a_running_event_loop_is_not_blocked():
    with pytest.raises(InvalidArgumentException, match="await the asynchronous method"):
        run_sync(thread())
    with pytest.raises(InvalidArgumentException, match="await the asynchronous method"):
        next(iterate(numbers()))


async def test_a_notebook_may_block_its_event_loop():
    allow_in_event_loop()
    try:
        assert run_sync(thread()) == "async_storages"
    finally:
        allow_in_event_loop(False)


def test_calls_back_are_made_by_the_thread_that_waits():
    async def ask():
        first = await call_back(threading.get_ident)
        second = await asyncio.create_task(call_back(threading.get_ident))
        return {first, second}

    assert run_sync(ask()) == {threading.get_ident()}


def test_a_call_back_that_fails_and_one_that_runs_a_coroutine():
    async def ask():
        with pytest.raises(ZeroDivisionError):
            await call_back(lambda: 1 / 0)
        return await call_back(lambda: run_sync(thread()))

    assert run_sync(ask()) == "async_storages"


def test_nobody_to_call_back():
    async def ask():
        await call_back(print)

    with pytest.raises(InvalidArgumentException, match="run_sync"):
        asyncio.run(ask())


def test_many_threads_at_once():
    async def later(number):
        await asyncio.sleep(0)
        return number

    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.extend(run_sync(later(n)) for _ in range(50))) for n in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == sorted(n for n in range(8) for _ in range(50))


def test_an_interrupt_is_raised_when_the_coroutine_has_ended():
    seen = []

    async def work():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(HANGS)
        finally:
            await asyncio.sleep(0)
            seen.append("ended")

    with pytest.raises(KeyboardInterrupt):
        run_sync(work())
    assert seen == ["ended"]


async def numbers(ended=None):
    task = asyncio.current_task()
    try:
        for number in range(3):
            assert asyncio.current_task() is task  # time-outs and cancel scopes need that
            yield number
    finally:
        if ended is not None:
            ended.append("closed")


def test_iterating():
    assert list(iterate(numbers())) == [0, 1, 2]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_an_iteration_that_is_broken_off_is_closed(steps):
    ended = []
    items = iterate(numbers(ended))
    for _ in range(steps):
        next(items)
    items.close()
    assert ended == (["closed"] if steps else [])


def test_an_iteration_that_fails():
    async def fail():
        yield 1
        raise ValueError("no")

    items = iterate(fail())
    assert next(items) == 1
    with pytest.raises(ValueError, match="no"):
        next(items)


def test_stopping_closes_what_is_open_and_the_next_call_starts_anew():
    ended = []
    items = iterate(numbers(ended))
    next(items)
    stop_background_loop()
    assert ended == ["closed"]
    assert run_sync(thread()) == "async_storages"
    items.close()


def test_a_child_after_fork_has_a_loop_of_its_own():
    program = """
import os
from async_storages.synchronous.background_loop import run_sync

async def pid():
    return os.getpid()

ours = run_sync(pid())
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    assert run_sync(pid()) == ours
else:
    assert run_sync(pid()) == os.getpid() != ours
    os._exit(0)
"""
    command = [sys.executable, "-W", "ignore", "-c", program]  # Python warns of forks beside threads
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_process_ends_with_connections_open(tmp_path):
    program = """
import sys
from async_storages import LocalStorage
storage = LocalStorage(sys.argv[1])
storage.sync.upload(b"content", "a.txt")
chunks = storage.sync.stream("a.txt", chunk_size=1)
next(chunks)
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_one_thread_is_started():
    def count():
        return [each.name for each in threading.enumerate()].count("async_storages")

    before = count()
    run_sync(thread())
    run_sync(thread())
    assert (before, count()) == (0, 1)
    assert background_loop.can_block()
