"""Items of several tasks, done in one call."""

import asyncio

import pytest

from async_storages.integrations.sqlalchemy.migration.joining import Joined


class Doubling:
    """Doubles numbers, as soon as it may; fails if one of them is above 10."""

    def __init__(self):
        self.calls = []
        self.was_called, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, numbers):
        self.calls.append(list(numbers))
        self.was_called.set()
        await self.may_go_on.wait()
        if max(numbers) > 10:
            raise ValueError(max(numbers))
        return [2 * each for each in numbers]


@pytest.fixture
def doubling():
    return Doubling()


async def begin(joined, *numbers):
    """Tasks that wait for their results."""
    tasks = [asyncio.create_task(joined(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_during_a_call_is_the_next_call(doubling):
    joined = Joined(doubling)
    tasks = await begin(joined, 1, 2, 3)
    doubling.may_go_on.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6]
    assert doubling.calls == [[1, 2, 3]] or doubling.calls == [[1], [2, 3]]


async def test_the_first_waits_for_others(doubling):
    doubling.may_go_on.set()
    assert await asyncio.gather(*await begin(Joined(doubling, pause=0.001), 1, 2, 3)) == [2, 4, 6]
    assert doubling.calls == [[1, 2, 3]]


async def test_one_does_not_fail_for_another(doubling):
    joined = Joined(doubling)
    doubling.may_go_on.set()
    results = await asyncio.gather(*await begin(joined, 1, 11, 3), return_exceptions=True)
    assert [results[0], results[2]] == [2, 6]
    assert isinstance(results[1], ValueError)
    assert doubling.calls[-3:] == [[1], [11], [3]]


async def test_whoever_was_cancelled_is_left_out(doubling):
    joined = Joined(doubling)
    [first] = await begin(joined, 1)
    second, third = await begin(joined, 2, 3)
    second.cancel()
    await asyncio.sleep(0)
    doubling.may_go_on.set()
    assert (await first, await third) == (2, 6)
    assert doubling.calls == [[1], [3]]


async def test_with_the_one_who_works_the_others_are_cancelled(doubling):
    joined = Joined(doubling, pause=0.001)
    tasks = await begin(joined, 1, 2)
    await doubling.was_called.wait()
    tasks[0].cancel()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    doubling.may_go_on.set()
    assert await joined(3) == 6
