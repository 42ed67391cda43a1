"""Undoing what was begun, whoever cancels."""

import asyncio

import pytest

from async_storages._cleanup import clean_up, settled_if_cancelled
from async_storages.errors import StorageUnavailableException


class Server:
    """Does what it is asked when it is let."""

    def __init__(self, fails=False):
        self.log = []
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.fails = fails

    async def make(self):
        self.log.append("asked")
        self.is_asked.set()
        await self.may_answer.wait()
        if self.fails:
            raise StorageUnavailableException("no answer")
        self.log.append("made")
        return "it"

    async def undo(self, what):
        self.log.append(f"undid {what}")


def ask(server, *, is_without_effect=False, undo=True, within=5):
    return asyncio.create_task(
        settled_if_cancelled(
            server.make(),
            is_without_effect=lambda: is_without_effect,
            undo=server.undo if undo else None,
            within=within,
        )
    )


async def cancelled(task):
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


async def test_without_a_cancellation_nothing_is_undone():
    server = Server()
    server.may_answer.set()
    assert await ask(server) == "it"
    assert server.log == ["asked", "made"]


@pytest.mark.parametrize("times", [1, 3])
async def test_what_is_made_while_cancelled_is_undone(times):
    server = Server()
    task = ask(server)
    await server.is_asked.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    server.may_answer.set()
    await cancelled(task)
    assert server.log == ["asked", "made", "undid it"]


async def test_what_is_to_stay_is_waited_for_all_the_same():
    server = Server()
    task = ask(server, undo=False)
    await server.is_asked.wait()
    task.cancel()
    server.may_answer.set()
    await cancelled(task)
    assert server.log == ["asked", "made"]


async def test_what_failed_needs_no_undoing():
    server = Server(fails=True)
    task = ask(server)
    await server.is_asked.wait()
    task.cancel()
    server.may_answer.set()
    await cancelled(task)
    assert server.log == ["asked"]


async def test_what_the_server_cannot_have_understood_is_broken_off():
    server = Server()
    task = ask(server, is_without_effect=True)
    await server.is_asked.wait()
    task.cancel()
    await cancelled(task)
    assert server.log == ["asked"]


async def test_nobody_waits_longer_than_he_said():
    server = Server()
    task = ask(server, within=0.01)
    await server.is_asked.wait()
    task.cancel()
    await cancelled(task)
    assert server.log == ["asked"]


async def test_a_clean_up_that_fails_is_noted_on_the_first_error():
    first = ValueError("first")

    async def fail():
        raise StorageUnavailableException("gone")

    await clean_up(fail(), first, within=5)
    [note] = first.__notes__
    assert "gone" in note


def test_a_loop_that_ends_ends_it_too():
    async def begin():
        server = Server()
        ask(server).add_done_callback(lambda task: log.append(task.cancelled()))
        await server.is_asked.wait()

    log = []
    asyncio.run(begin())
    assert log == [True]
