"""Waiting for coroutines in synchronous code."""

import asyncio
import threading

import pytest

from async_storages import InvalidArgumentException
from async_storages.integrations.sqlalchemy import _greenlet


async def three():
    await asyncio.sleep(0)
    return 3


def test_plain_code_waits():
    assert _greenlet.can_wait()
    assert _greenlet.wait_for(three()) == 3


async def test_plain_code_in_a_running_event_loop_does_not_wait():
    assert not _greenlet.can_wait()
    with pytest.raises(InvalidArgumentException, match="would block it"):
        _greenlet.wait_for(three())


def test_code_that_a_waiting_thread_is_asked_to_call_runs_there():
    assert _greenlet.wait_for(_greenlet.spawn(threading.get_ident)) == threading.get_ident()


async def test_below_a_greenlet_a_coroutine_can_be_awaited():
    assert await _greenlet.spawn(_greenlet.can_wait)
    assert await _greenlet.spawn(_greenlet.wait_for, three()) == 3


async def test_an_awaitable_is_awaited_anywhere():
    assert await _greenlet.spawn(_greenlet.wait_anywhere, three()) == 3
    assert await asyncio.to_thread(_greenlet.wait_anywhere, three()) == 3


async def test_pace_gives_other_tasks_their_turn():
    turns = []

    async def other():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    assert await _greenlet.spawn(list, _greenlet.pace(range(200))) == list(range(200))
    assert len(turns) >= 5
    task.cancel()
    assert list(_greenlet.pace("ab")) == ["a", "b"]


async def test_a_cancellation_is_raised_after_the_work():
    started, may_end, ended = asyncio.Event(), asyncio.Event(), []

    async def work():
        started.set()
        await may_end.wait()
        ended.append(1)

    task = asyncio.ensure_future(_greenlet.wait_uninterrupted(work()))
    await started.wait()
    task.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [1]


def test_work_without_a_loop_is_called_as_it_is():
    assert _greenlet.run_uninterrupted(max, 1, 2) == 2
