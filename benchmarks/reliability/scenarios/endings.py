"""How a transaction ends."""

from sqlalchemy.exc import IntegrityError

from benchmarks.reliability.library import Library, NotApplicableError
from benchmarks.reliability.scenarios.listing import LostError, Scenario, Stop, added, listing, provoked, replace

SCENARIOS: dict[str, Scenario] = {}
scenario = listing(SCENARIOS)


@scenario("commit")
async def commit(at: Library) -> None:
    async with at.sessions() as session:
        session.add(added(at, "new"))
        await session.commit()


@scenario("flush then commit")
async def flush_then_commit(at: Library) -> None:
    async with at.sessions() as session:
        session.add(added(at, "new"))
        await session.flush()
        await session.commit()


@scenario("commit, expire_on_commit=False")
async def without_expiry(at: Library) -> None:
    async with at.sessions(expire_on_commit=False) as session:
        session.add(added(at, "new"))
        await session.commit()


@scenario("read just after commit")
async def read_just_after_commit(at: Library) -> None:
    at.trouble.slow_down(0.2)
    async with at.sessions(expire_on_commit=False) as session:
        session.add(document := added(at, "new"))
        await session.commit()
        if not at.names(document.file) <= at.present().keys():
            raise LostError("uploaded after the commit, in a task that nobody waits for")


@scenario("rollback")
async def rollback(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session)
        await session.flush()
        await session.rollback()


@scenario("close without commit")
async def close_without_commit(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session)


@scenario("flush then close")
async def flush_then_close(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session)
        await session.flush()
        await session.close()


@scenario("exception inside `async with`")
async def exception(at: Library) -> None:
    with provoked(Stop):
        async with at.sessions() as session:
            await replace(at, session)
            await session.flush()
            raise Stop


@scenario("IntegrityError")
async def integrity_error(at: Library) -> None:
    with provoked(IntegrityError):
        async with at.sessions() as session:
            await replace(at, session)
            session.add_all([added(at, "one", title="same"), added(at, "two", title="same")])
            await session.commit()


@scenario("savepoint released + outer commit")
async def savepoint_released(at: Library) -> None:
    async with at.sessions() as session:
        session.add(added(at, "outer"))
        async with session.begin_nested():
            session.add(added(at, "inner"))
        await session.commit()


@scenario("savepoint released + outer rollback")
async def savepoint_undone(at: Library) -> None:
    async with at.sessions() as session:
        session.add(added(at, "outer"))
        async with session.begin_nested():
            session.add(added(at, "inner"))
        await session.rollback()


@scenario("inner savepoint rolled back + outer commit")
async def inner_rolled_back(at: Library) -> None:
    async with at.sessions() as session:
        session.add(added(at, "outer"))
        with provoked(Stop):
            async with session.begin_nested():
                session.add(added(at, "inner"))
                await session.flush()
                raise Stop
        await session.commit()


@scenario("begin_nested in pytest's outer-transaction recipe")
async def outer_transaction(at: Library) -> None:
    options = {"join_transaction_mode": "create_savepoint"}
    async with at.rolled_back() as connection, at.sessions(bind=connection, **options) as session:
        await replace(at, session)
        async with session.begin_nested():
            session.add(added(at, "another"))
        await session.commit()


@scenario("two-phase commit")
async def two_phase_commit(at: Library) -> None:
    await two_phases(at, "commit")


@scenario("two-phase commit, rolled back after prepare")
async def two_phase_rollback(at: Library) -> None:
    await two_phases(at, "rollback")


async def two_phases(at: Library, end: str) -> None:
    if at.is_sqlite:
        raise NotApplicableError("SQLite has no two-phase commit")
    async with at.sessions(twophase=True) as session:
        await replace(at, session)
        await session.run_sync(lambda sync: sync.prepare())
        await getattr(session, end)()
