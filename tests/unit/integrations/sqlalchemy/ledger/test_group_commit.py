"""Group commit: callers share transactions, and each gets its own outcome."""

import asyncio

import pytest

from async_storages import StorageUnavailableException
from async_storages.integrations.sqlalchemy.ledger.group_commit import GroupCommit
from tests.support.patience import TIME_OUT


class Database:
    """It commits groups. A test lets each transaction end."""

    def __init__(self, refused=()):
        self.groups = []
        self.refused = set(refused)
        self.begun = asyncio.Semaphore(0)
        self.may_end = asyncio.Semaphore(0)

    async def transact(self, calls):
        self.groups.append(list(calls))
        self.begun.release()
        await self.may_end.acquire()
        for each in calls:
            if each in self.refused:
                raise ValueError(each)

    def let_end(self, count=1):
        for _ in range(count):
            self.may_end.release()


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def waiting_behind_one(group, database, *names):
    """Tasks: one whose transaction is open, and some that wait for their turn."""
    first = asyncio.create_task(group.commit("first"))
    await database.begun.acquire()
    others = [asyncio.create_task(group.commit(name)) for name in names]
    await turns()
    return first, others


async def test_a_call_alone_commits_at_once():
    database = Database()
    database.let_end()
    await GroupCommit(database.transact, None).commit("a")
    assert database.groups == [["a"]]


async def test_those_who_wait_share_the_next_transaction():
    database = Database()
    group = GroupCommit(database.transact, None)
    first, others = await waiting_behind_one(group, database, "a", "b", "c")
    database.let_end(2)
    await asyncio.gather(first, *others)
    assert database.groups == [["first"], ["a", "b", "c"]]


async def test_nobody_returns_before_its_transaction_has_ended():
    database = Database()
    group = GroupCommit(database.transact, None)
    first, others = await waiting_behind_one(group, database, "a", "b")
    database.let_end()
    await first
    await database.begun.acquire()
    await turns()
    assert not any(each.done() for each in others)
    database.let_end()
    await asyncio.gather(*others)


async def test_each_fails_for_its_own_reason_only():
    database = Database(refused={"b"})
    group = GroupCommit(database.transact, None)
    first, others = await waiting_behind_one(group, database, "a", "b", "c")
    database.let_end(5)
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(each) for each in outcomes] == [type(None), type(None), ValueError, type(None)]
    assert database.groups == [["first"], ["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_without_a_connection_all_fail_at_once():
    """One by one they would wait for as long again."""

    async def transact(calls):
        await asyncio.sleep(0)
        groups.append(calls)
        raise StorageUnavailableException("no connection")

    groups = []
    group = GroupCommit(transact, None)
    outcomes = await asyncio.gather(*(group.commit(each) for each in "abc"), return_exceptions=True)
    assert [type(each) for each in outcomes] == [StorageUnavailableException] * 3
    assert len(groups) == 2
    assert len({id(each) for each in outcomes}) == 3  # each has its own traceback


async def test_who_is_cancelled_while_it_waits_commits_nothing():
    database = Database()
    group = GroupCommit(database.transact, None)
    first, others = await waiting_behind_one(group, database, "a", "b")
    others[0].cancel()
    await turns()
    database.let_end(2)
    await asyncio.gather(first, others[1])
    assert database.groups == [["first"], ["b"]]
    assert others[0].cancelled()


async def test_a_transaction_ends_although_the_task_that_runs_it_is_cancelled():
    database = Database()
    group = GroupCommit(database.transact, None)
    first, others = await waiting_behind_one(group, database, "a", "b")
    first.cancel()
    await turns()
    assert not first.done()
    database.let_end(2)
    await asyncio.gather(*others)
    assert first.cancelled()
    assert database.groups == [["first"], ["a", "b"]]


async def test_who_is_cancelled_when_its_turn_comes_passes_it_on():
    database = Database()
    group = GroupCommit(database.transact, None)
    first, (next_, last) = await waiting_behind_one(group, database, "a", "b")
    first.add_done_callback(lambda _: next_.cancel())
    database.let_end(2)
    await asyncio.gather(first, last)
    await asyncio.wait([next_])
    assert database.groups[0] == ["first"]
    assert "b" in database.groups[1]
    database.let_end()
    await group.commit("later")


async def test_who_waits_too_long_gives_up():
    database = Database()
    group = GroupCommit(database.transact, 0.01)
    first, (late,) = await waiting_behind_one(group, database, "a")
    with pytest.raises(TimeoutError):
        await late
    database.let_end(2)
    await first
    await group.commit("later")
    assert database.groups == [["first"], ["later"]]


async def test_hundreds_of_cancelled_callers_leave_a_group_that_works():
    database = Database()
    group = GroupCommit(database.transact, None)
    for moment in range(100):
        first, others = await waiting_behind_one(group, database, "a", "b", "c")
        others[moment % 3].cancel()
        await turns(moment % 7)
        if moment % 2:
            first.cancel()
        database.let_end(3)
        await asyncio.wait([first, *others])
        database.may_end = asyncio.Semaphore(0)
        database.begun = asyncio.Semaphore(0)
    database.let_end()
    await asyncio.wait_for(group.commit("the last"), 60)


async def test_who_is_cancelled_just_before_its_turn_comes_is_passed_over():
    tasks, groups, may_end = [], [], asyncio.Event()

    async def transact(calls):
        groups.append(list(calls))
        if calls == ["first"]:
            await may_end.wait()
            tasks[1].cancel()  # it has no time to notice before the transaction ends

    group = GroupCommit(transact, None)
    tasks += [asyncio.create_task(group.commit(name)) for name in ("first", "a", "b")]
    await turns()
    may_end.set()
    await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), TIME_OUT)
    assert tasks[1].cancelled()
    assert groups[0] == ["first"]
    assert "b" in groups[1]
    await asyncio.wait_for(group.commit("later"), TIME_OUT)
