"""Failures and cancellations on the way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, event, func, select
from sqlalchemy.exc import DBAPIError

from benchmarks.reliability.library import TERMINATE_OTHERS, Library, NotApplicableError
from benchmarks.reliability.scenarios.listing import Scenario, Stop, added, first, give, listing, provoked, replace

SCENARIOS: dict[str, Scenario] = {}
scenario = listing(SCENARIOS)


@scenario("connection lost at commit")
async def connection_lost(at: Library) -> None:
    with provoked(DBAPIError, Stop):
        async with at.sessions() as session:
            await replace(at, session)
            await session.flush()
            if at.is_sqlite:  # nothing can cut a connection to a file: the commit fails before it is sent
                with around_commit(await connection_of(session), before=stop):
                    await session.commit()
            else:
                pid = await session.scalar(select(func.pg_backend_pid()))
                await at.execute(f"{TERMINATE_OTHERS} AND pid = {pid}")
                await session.commit()


@scenario("upload fails")
async def upload_fails(at: Library) -> None:
    await with_refused_upload(at, 1, added(at, "new"))


@scenario("second of two uploads fails")
async def second_upload_fails(at: Library) -> None:
    await with_refused_upload(at, 2, added(at, "one"), added(at, "two"))


@scenario("second of two files of one column fails")
async def second_of_a_list_fails(at: Library) -> None:
    await with_refused_upload(at, 2, at.models.Album(id=1, text="one,two", file=[at.new("one"), at.new("two")]))


async def with_refused_upload(at: Library, number: int, *rows: Any) -> None:
    at.trouble.refuse("write", number)
    with suppress(Exception):
        async with at.sessions() as session:
            session.add_all(rows)
            await session.commit()
    await met(at)


@scenario("cancelled while uploading")
async def cancelled_while_uploading(at: Library) -> None:
    at.trouble.hold("write")

    async def cancel(task: "asyncio.Task[None]") -> None:
        await at.trouble.reached.wait()
        task.cancel()

    await cancelled(at, replace_and_commit(at), cancel)


@scenario("cancelled in flush")
async def cancelled_in_flush(at: Library) -> None:
    @event.listens_for(at.engine.sync_engine if at.is_async else at.engine, "before_cursor_execute")
    def cancel(*details: Any) -> None:
        if "UPDATE documents" in details[2]:
            cancel_this()

    try:
        await cancelled(at, replace_and_commit(at))
    finally:
        event.remove(at.engine.sync_engine if at.is_async else at.engine, "before_cursor_execute", cancel)


@scenario("cancelled at commit, before the database's answer")
async def cancelled_before_the_answer(at: Library) -> None:
    await cancelled(at, replace_and_commit(at, before=cancel_this))


@scenario("cancelled at commit, after the database's answer")
async def cancelled_after_the_answer(at: Library) -> None:
    await cancelled(at, replace_and_commit(at, after=cancel_this))


@scenario("storage down at delete")
async def storage_down_at_delete(at: Library) -> None:
    at.trouble.refuse("delete")
    with suppress(Exception):
        await replace_and_commit(at)
    await met(at)


@scenario("old object already missing")
async def old_object_missing(at: Library) -> None:
    for name in at.present():
        (at.files / name).unlink()
    async with at.sessions() as session:
        give(at, await first(at, session), None)
        await session.commit()


@scenario("an id that never existed is assigned")
async def never_existed(at: Library) -> None:
    async with at.sessions() as session:
        session.add(at.models.Document(id=2, text="new", file=at.missing()))
        await session.commit()


# ---- how


async def met(at: Library) -> None:
    """What a storage refused may also be asked for later."""
    await at.settle()
    assert at.trouble.was_met


async def replace_and_commit(at: Library, **hooks: Callable[[], object]) -> None:
    async with at.sessions() as session:
        await replace(at, session)
        await session.flush()
        with around_commit(await connection_of(session), **hooks):
            await session.commit()


async def cancelled(
    at: Library, work: Any, cancel: Callable[["asyncio.Task[None]"], Awaitable[None]] | None = None
) -> None:
    """Do the work in a task, which is cancelled on the way."""
    if not at.is_async:
        work.close()
        raise NotApplicableError("nothing can be cancelled, as nothing is awaited")
    task = asyncio.create_task(work)
    if cancel is not None:
        await cancel(task)
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled() or cancel is not None


def cancel_this() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def stop() -> None:
    raise Stop


async def connection_of(session: Any) -> Connection:
    connection = await session.connection()
    return getattr(connection, "sync_connection", connection)


@contextmanager
def around_commit(
    connection: Connection, before: Callable[[], object] | None = None, after: Callable[[], object] | None = None
) -> Iterator[None]:
    """Call something right before, or right after, the database commits what was done on this connection."""
    dialect, commit = connection.dialect, connection.dialect.do_commit
    mine = connection.connection.dbapi_connection

    def do_commit(dbapi_connection: Any) -> None:
        is_mine = dbapi_connection.dbapi_connection is mine
        if is_mine and before is not None:
            before()
        commit(dbapi_connection)
        if is_mine and after is not None:
            after()

    dialect.do_commit = do_commit  # there is no event after it
    try:
        yield
    finally:
        dialect.do_commit = commit
