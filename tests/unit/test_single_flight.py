"""Work that several tasks want at once."""

import asyncio

import pytest

from async_storages import FileNotFoundException
from async_storages._single_flight import SingleFlight


class Work:
    """Counts how often it is begun, and goes on when told to."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.times = 0

    async def __call__(self):
        self.times += 1
        self.begun.set()
        await self.go_on.wait()
        if self.outcomes:
            raise self.outcomes.pop()


async def start(flight, work, count, key="a"):
    tasks = [asyncio.create_task(flight.do(key, work)) for _ in range(count)]
    await work.begun.wait()
    await asyncio.sleep(0)
    return tasks


async def test_one_does_it_for_all():
    flight, work = SingleFlight(), Work()
    tasks = await start(flight, work, 50)
    work.go_on.set()
    await asyncio.gather(*tasks)
    assert work.times == 1
    await flight.do("a", work)
    assert work.times == 2


async def test_other_keys_are_other_work():
    flight, one, other = SingleFlight(), Work(), Work()
    tasks = [*await start(flight, one, 1), *await start(flight, other, 1, "b")]
    one.go_on.set()
    other.go_on.set()
    await asyncio.gather(*tasks)
    assert (one.times, other.times) == (1, 1)


@pytest.mark.parametrize("error", [FileNotFoundException("gone", file_id="mem:a"), LookupError("gone")])
async def test_all_share_its_failure_and_the_next_tries_again(error):
    flight, work = SingleFlight(), Work(error)
    tasks = await start(flight, work, 3)
    work.go_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(each) for each in outcomes] == [str(error)] * 3
    assert work.times == 1
    await flight.do("a", work)


async def test_if_it_is_cancelled_another_takes_over():
    flight, work = SingleFlight(), Work()
    tasks = await start(flight, work, 3)
    work.begun.clear()
    tasks[0].cancel()
    await work.begun.wait()
    work.go_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in outcomes] == [asyncio.CancelledError, type(None), type(None)]
    assert work.times == 2


async def test_who_waits_can_be_cancelled_alone():
    flight, work = SingleFlight(), Work()
    tasks = await start(flight, work, 2)
    tasks[1].cancel()
    work.go_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in outcomes] == [type(None), asyncio.CancelledError]
    assert work.times == 1


async def test_nothing_is_kept_of_what_has_ended():
    flight = SingleFlight()
    failing, ending = Work(LookupError()), Work()
    failing.go_on.set()
    ending.go_on.set()
    for number in range(20):
        await flight.do(f"ends {number}", ending)
    with pytest.raises(LookupError):
        await flight.do("fails", failing)
    tasks = await start(flight, Work(), 1)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert vars(flight) == {"_running": {}}
