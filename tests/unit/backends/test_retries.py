"""How long is waited before the next attempt."""

import asyncio
import random

import pytest

from async_storages.backends.retries import Retries
from async_storages.errors import InvalidArgumentException, StorageUnavailableException


@pytest.fixture
def pauses(monkeypatch):
    """The pauses, none of which is waited for; chance always takes the longest."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda shortest, longest: (shortest, longest))
    return waited


async def test_pauses_grow_to_the_cap(pauses):
    for failures in (1, 2, 3, 4, 5, 5000):
        await Retries(base=0.5, cap=3).pause(failures)
    assert pauses == [(0, 0.5), (0, 1), (0, 2), (0, 3), (0, 3), (0, 3)]


async def test_without_a_base_there_is_no_pause(pauses):
    await Retries(base=0).pause(5000)
    assert pauses == [(0, 0)]


@pytest.mark.parametrize("options", [{"attempts": 1}, {"base": 0}, {"cap": 0}])
def test_the_least(options):
    Retries(**options)


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"attempts": -1}, {"base": -0.1}, {"cap": -0.1}, {"base": float("nan")}, {"cap": float("nan")}],
    ids=str,
)
def test_what_cannot_be(options):
    with pytest.raises(InvalidArgumentException, match="are no retries"):
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
