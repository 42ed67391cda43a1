"""Slots are bounded, go to those who wait in their order, and none is lost with who is cancelled."""

import asyncio

from async_storages.backends.fastdfs.slots import Slots


async def waiting(slots, count):
    """Tasks that wait for a slot, in this order."""
    tasks = [asyncio.create_task(slots.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def free(slots):
    count = 0
    while slots.take_free():
        count += 1
    return count


async def test_the_bound():
    assert free(Slots(3)) == 3


async def test_they_go_to_the_first_who_waits():
    slots = Slots(1)
    slots.take_free()
    first, second = await waiting(slots, 2)
    slots.release()
    assert not slots.take_free()  # it is the first one's already
    await first
    assert not second.done()
    slots.release()
    await second
    slots.release()
    assert free(slots) == 1


async def test_who_is_cancelled_takes_none():
    slots = Slots(1)
    slots.take_free()
    first, second = await waiting(slots, 2)
    first.cancel()
    slots.release()
    await asyncio.wait([first])
    assert first.cancelled()
    await second
    slots.release()
    assert free(slots) == 1


async def test_who_is_cancelled_with_a_slot_gives_it_back():
    slots = Slots(1)
    slots.take_free()
    first, second = await waiting(slots, 2)
    slots.release()
    first.cancel()  # before it runs, but after it was given the slot
    await asyncio.wait([first])
    assert first.cancelled()
    await second
    slots.release()
    assert free(slots) == 1
