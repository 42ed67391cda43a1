"""Items of one call, which no item spoils for the others."""

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from async_storages.integrations.sqlalchemy.migration.halving import do_together


class Doubling:
    """Doubles numbers; fails if one of them is above 10."""

    def __init__(self):
        self.calls = []

    async def __call__(self, numbers):
        self.calls.append(list(numbers))
        if max(numbers) > 10:
            raise ValueError(max(numbers))
        return [2 * each for each in numbers]


async def test_one_call_for_all():
    doubling = Doubling()
    assert await do_together(doubling, [1, 2, 3]) == [2, 4, 6]
    assert doubling.calls == [[1, 2, 3]]


async def test_no_call_for_none():
    doubling = Doubling()
    assert await do_together(doubling, []) == []
    assert doubling.calls == []


async def test_one_does_not_fail_for_another():
    doubling = Doubling()
    first, second, third, fourth = await do_together(doubling, [1, 11, 3, 4])
    assert (first, third, fourth) == (2, 6, 8)
    assert isinstance(second, ValueError)
    assert doubling.calls == [[1, 11, 3, 4], [1, 11], [1], [11], [3, 4]]


async def test_a_lost_connection_is_not_tried_again():
    calls = []

    async def lose(items):
        calls.append(items)
        raise OperationalError("UPDATE", {}, OSError("gone"), connection_invalidated=True)

    with pytest.raises(OperationalError):
        await do_together(lose, [1, 2])
    assert calls == [[1, 2]]


async def test_a_cancellation_is_not_a_failure_of_an_item():
    async def be_cancelled(_):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await do_together(be_cancelled, [1, 2])
