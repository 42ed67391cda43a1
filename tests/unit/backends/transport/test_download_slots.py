"""Who gets a connection for a download, and from whom it is taken."""

import asyncio
import math

import pytest

from async_storages.backends.transport.download_slots import STALLED_AFTER, DownloadSlots
from async_storages.backends.transport.http import HttpOptions, download_slots
from async_storages.errors import StorageClosedException, StorageUnavailableException
from tests.support.clock import JumpingClock
from tests.support.patience import TIME_OUT, time_flies


class Answer:
    is_closed = False

    def close(self):
        self.is_closed = True


async def taken(slots):
    slot, answer = await slots.take(), Answer()
    slot.hold(answer)
    return slot, answer


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        *(({"max_connections": most}, downloads) for most, downloads in ((64, 48), (1, 1), (3, 3), (4, 3))),
        *(({"reserved_connections": kept}, 64 - kept) for kept in (0, 63)),
    ],
    ids=str,
)
def test_downloads_have_most_of_the_connections(options, expected):
    assert download_slots(HttpOptions(**options)) == expected


async def test_who_waits_gets_a_slot_in_turn():
    slots, order = DownloadSlots(1, TIME_OUT), []

    async def download(number):
        with await slots.take():
            order.append(number)

    with await slots.take():
        tasks = [asyncio.create_task(download(number)) for number in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        assert order == []
    await asyncio.wait(tasks)
    assert order == [0, 1, 3, 4]


async def test_who_begins_goes_first_and_who_goes_on_is_not_forgotten():
    slots, order = DownloadSlots(1, TIME_OUT), []

    async def download(name, **said):
        with await slots.take(**said):
            order.append(name)

    with await slots.take():
        later = [asyncio.create_task(download(number, is_new=False)) for number in (1, 2)]
        await asyncio.sleep(0)
        tasks = [*later, *(asyncio.create_task(download(name)) for name in "abcde")]
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    assert order == ["a", "b", "c", 1, "d", "e", 2]


async def test_few_slow_readers_are_served_at_once():
    slots, served, most = DownloadSlots(16, TIME_OUT), [], 0

    async def download(number):
        nonlocal most
        with await slots.take(is_new=False, is_slow=True):
            served.append(number)
            most = max(most, 16 - slots._free)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(download(number)) for number in range(50)]
    tasks[40].cancel()
    await asyncio.sleep(0)
    with await slots.take():  # which nobody has to wait for
        assert most == 2
    await asyncio.wait(tasks)
    assert most == 2
    assert served == [number for number in range(50) if number != 40]
    assert (slots._free, slots._free_for_slow) == (16, 2)


async def test_a_download_gives_its_slot_back_sooner_to_those_who_begin():
    slots = DownloadSlots(1, TIME_OUT)

    async def download(*, is_new):
        with await slots.take(is_new=is_new):
            return

    with await slots.take() as slot:
        shares = [slot.share]
        async with asyncio.TaskGroup() as others:
            for is_new in (False, True):
                others.create_task(download(is_new=is_new))
                await asyncio.sleep(0)
                shares.append(slot.share)
            slot.release()
    assert shares == [math.inf, 4 << 20, 256 << 10]
    assert slots._free == 1


async def test_who_gave_a_slot_back_cannot_lose_it():
    slots = DownloadSlots(1, TIME_OUT)
    slot, answer = await taken(slots)
    slot.release()
    slot.wait_for_reader(can_go_on=True)
    with await slots.take():
        waiting = asyncio.create_task(slots.take())
        with time_flies(10 * STALLED_AFTER):
            await asyncio.sleep(5 * STALLED_AFTER)
        assert not waiting.done()
    with await waiting:
        assert not answer.is_closed
    assert slots._free == 1


async def test_a_slot_is_taken_from_whoever_has_stood_still_longest():
    slots = DownloadSlots(2, TIME_OUT)
    (first, first_answer), (second, second_answer) = await taken(slots), await taken(slots)
    second.wait_for_reader(can_go_on=True)
    first.wait_for_reader(can_go_on=True)
    with time_flies(), await slots.take():
        assert (first_answer.is_closed, second_answer.is_closed) == (False, True)
    assert first.reader_is_back()
    assert not second.reader_is_back()
    for slot in (first, second):
        slot.release()
    with await slots.take(), await slots.take():
        pass  # there are two again, and not three
    assert slots._free == 2


@pytest.fixture
async def standing_clock(monkeypatch):
    """Time passes only while all sleep, however slow the machine."""
    loop = asyncio.get_running_loop()
    clock = JumpingClock(loop)
    monkeypatch.setattr(loop._selector, "select", clock.select)
    monkeypatch.setattr(loop, "time", clock.time)


async def test_a_reader_who_takes_what_comes_keeps_his(standing_clock):
    slots = DownloadSlots(1, TIME_OUT)
    slot, answer = await taken(slots)
    waiting = asyncio.create_task(slots.take())
    for _ in range(10):
        slot.wait_for_reader(can_go_on=True)
        await asyncio.sleep(STALLED_AFTER / 3)
        assert slot.reader_is_back()
    assert not answer.is_closed
    slot.release()
    with await waiting:
        pass


async def test_nobody_loses_a_slot_that_nobody_wants():
    slots = DownloadSlots(1, TIME_OUT)
    slot, answer = await taken(slots)
    slot.wait_for_reader(can_go_on=True)
    with time_flies():
        await asyncio.sleep(100 * STALLED_AFTER)
    assert slot.reader_is_back()
    assert not answer.is_closed


async def test_waiting_has_an_end():
    slots = DownloadSlots(1, TIME_OUT)
    busy = await slots.take()
    with time_flies(), pytest.raises(StorageUnavailableException, match="all are busy with downloads"):
        await slots.take()
    busy.release()
    with await slots.take():
        pass


async def test_nobody_waits_for_a_storage_that_is_closed():
    slots = DownloadSlots(1, TIME_OUT)
    await slots.take()
    waiting = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    slots.close()
    for attempt in (waiting, slots.take()):
        with pytest.raises(StorageClosedException):
            await attempt
