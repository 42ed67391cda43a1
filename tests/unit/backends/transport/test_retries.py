"""How long is waited before the next attempt."""

import asyncio
import random
import time

import pytest

from async_storages.backends.transport.retries import Retries, retry_after
from async_storages.errors import InvalidArgumentException, StorageUnavailableException


@pytest.fixture
def pauses(monkeypatch):
    """The pauses, none of which is waited for; chance always takes the longest."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda shortest, longest: longest)
    return waited


async def test_pauses_grow_to_the_cap(pauses):
    for failures in (1, 2, 3, 4, 5, 5000):
        await Retries(base=0.5, cap=3).pause(failures)
    assert pauses == [0.5, 1, 2, 3, 3, 3]


def test_a_pause_is_at_least_half_of_its_span(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda shortest, longest: shortest)
    assert [Retries(base=0.5, cap=3).pause_after(failures) for failures in (1, 2, 5000)] == [0.25, 0.5, 1.5]


@pytest.fixture
def clock(monkeypatch, pauses):
    """The time since the beginning: the pauses, and what the test adds to it."""
    added = []
    monkeypatch.setattr(time, "monotonic", lambda: sum(pauses) + sum(added))
    return added


async def test_tries_end_with_the_time_that_was_set(pauses, clock):
    tries = Retries(attempts=100, base=1, cap=1, within=2.5).begin()
    clock.append(1000)  # which the first try took
    assert [await tries.wait() for _ in range(4)] == [True, True, False, False]
    assert pauses == [1, 1]


@pytest.mark.usefixtures("clock")
async def test_a_server_may_ask_for_longer_pauses_but_not_beyond_that_time(pauses):
    tries = Retries(attempts=100, base=1, cap=1, within=10).begin()
    assert [await tries.wait(seconds) for seconds in (4, 0, None, 5, 4)] == [True, True, True, False, True]
    assert pauses == [4, 1, 1, 4]


@pytest.mark.usefixtures("clock")
async def test_a_success_begins_anew(pauses):
    tries = Retries(attempts=2, base=1, cap=1, within=1.5).begin()
    for _ in range(5):
        assert await tries.wait()
        tries.succeed()
    assert await tries.wait()
    assert not await tries.wait()


@pytest.mark.parametrize(
    ("said", "seconds"), [("5", 5), ("0", 0), ("", None), ("-1", None), ("٣", None), ("Wed, 21 Oct 2099", None)]
)
def test_the_seconds_that_a_server_asks_for(said, seconds):
    assert retry_after({"Retry-After": said}) == seconds


async def test_without_a_base_there_is_no_pause(pauses):
    await Retries(base=0).pause(5000)
    assert pauses == [0]


@pytest.mark.parametrize("options", [{"attempts": 1}, {"base": 0}, {"cap": 0}])
def test_the_least(options):
    Retries(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": -1},
        {"base": -0.1},
        {"cap": -0.1},
        {"base": float("nan")},
        {"cap": float("nan")},
        {"within": -1},
    ],
    ids=str,
)
def test_what_cannot_be(options):
    with pytest.raises(InvalidArgumentException, match="give 1 or more attempts"):
        Retries(**options)


@pytest.mark.parametrize(("failures", "attempts", "tries"), [(0, None, 1), (2, None, 3), (9, None, 4), (9, 1, 1)])
async def test_what_is_unavailable_is_tried_again(pauses, failures, attempts, tries):
    tried = []

    async def attempt():
        tried.append(None)
        if len(tried) <= failures:
            raise StorageUnavailableException("busy")
        return "done"

    if failures < tries:
        assert await Retries().run(attempt, attempts) == "done"
    else:
        with pytest.raises(StorageUnavailableException, match="busy"):
            await Retries().run(attempt, attempts)
    assert (len(tried), len(pauses)) == (tries, tries - 1)


async def test_what_is_wrong_is_not_tried_again(pauses):
    with pytest.raises(ZeroDivisionError):
        await Retries().run(lambda: 1 // 0)
    assert pauses == []
