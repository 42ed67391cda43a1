"""A database and a storage that processes share and are killed over, and what is missing or left in them."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from async_storages import LocalStorage, S3Storage, registry
from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.retries import Retries
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger.tables import State, journal_of, now
from async_storages.storage.base import Storage
from tests.faults.leftovers import end_prepared, wait_for_the_dead
from tests.integration.transactions.conftest import begin_with_begin
from tests.support.ledgers import in_journal, in_ledger, pass_time, settle
from tests.support.tracked import Album, Base, Book, Loan

_COLUMNS = (Book.file, Book.deferred, Book.shared, Loan.file, Loan.shared, Album.pages, Album.shared)


@dataclass(frozen=True)
class Place:
    """What a process needs to know to work there.

    Attributes:
        database: SQLAlchemy's URL.
        storage: The arguments of S3Storage, or the folder of a LocalStorage.
        whole: The class of a storage that is made of two folders there; None for one folder.
        isolation: Of the application's transactions; None for the database's default.
        seconds: Of the ledger's grace and leases; None for as long as ever.
    """

    database: str
    storage: dict[str, Any] | str
    whole: Callable[[Storage, Storage], Storage] | None = None
    isolation: str | None = None
    seconds: float | None = None

    @property
    def lifetimes(self):
        if self.seconds is None:
            return {}
        return dict.fromkeys(("grace", "lease"), timedelta(seconds=self.seconds))

    @property
    def one_by_one(self):
        """Who is stopped must not hold the lock of a local folder by another thread: all others would wait for it."""
        return {} if self.seconds is None else {"concurrency": 1}

    @property
    def is_sqlite(self):
        return self.database.startswith("sqlite")

    def open_storage(self):
        if isinstance(self.storage, dict):
            return S3Storage(**self.storage, options=HttpOptions(retries=Retries(attempts=4)))
        if self.whole is not None:
            return self.whole(LocalStorage(f"{self.storage}/one"), LocalStorage(f"{self.storage}/two"))
        return LocalStorage(self.storage)


@dataclass(frozen=True)
class App:
    """A process at work."""

    engine: AsyncEngine
    storage: Storage
    ledger: FileLedger
    sessions: async_sessionmaker[Any]
    sessions_of_two_phases: async_sessionmaker[Any]
    isolation: str | None


@asynccontextmanager
async def at_work(place):
    engine = create_async_engine(place.database, **_options(place))
    if place.is_sqlite:
        begin_with_begin(engine.sync_engine)
    async with place.open_storage() as storage:
        with registry.override("documents", storage):
            ledger = FileLedger(engine, Base.metadata, **place.lifetimes, **place.one_by_one)
            makers = [async_sessionmaker(engine, expire_on_commit=False, twophase=each) for each in (False, True)]
            tracked = [enable_file_tracking(each, ledger=ledger, **place.one_by_one) for each in makers]
            try:
                yield App(engine, storage, ledger, *tracked, place.isolation)
            finally:
                await engine.dispose()


def _options(place):
    options = {"isolation_level": place.isolation} if place.isolation else {}
    return options | ({"poolclass": NullPool} if place.is_sqlite else {})


async def prepare(place):
    """Make the tables; the ledger's mark is left to whoever comes first."""
    async with at_work(place) as app, app.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


# ---- what is there


@dataclass(frozen=True)
class Verdict:
    """What should not be.

    Attributes:
        lost: Files that rows name and that are missing.
        leaked: Files that no row names.
        noted: Files that no row names and the ledger's table knows.
        announced: Those that are in the journal.
        unknown: Files that rows name and the ledger's table does not know.
    """

    lost: frozenset[str]
    leaked: frozenset[str] = frozenset()
    noted: frozenset[str] = frozenset()
    announced: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


CLEAN = Verdict(frozenset())


async def judge(place, random=None):
    """Whether all is well: first as the killed have left it, then after some time, with another worker."""
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        await end_prepared(app.engine, random)
        if lost := await _named(app) - await _present(app):
            return Verdict(frozenset(lost))
        await settle(app.ledger)
        return await _look(app)


async def let_time_pass(place, random=None, *, is_quiet=True):
    """What is in force no longer is.

    Args:
        place: Where.
        random: Decides on prepared transactions.
        is_quiet: Whether nobody is at work; else this is for what they have not locked.
    """
    async with at_work(place) as app:
        if is_quiet:
            await wait_for_the_dead(app.engine)
            await end_prepared(app.engine, random)
            await pass_time(app.ledger)
        else:
            await _pass_time_beside(app)


async def wait_until_over(place):
    """Until nothing is in force any more, by the real clock; for places with short lifetimes."""
    async with at_work(place) as app:
        while await _is_in_force(app.ledger):  # noqa: ASYNC110 - only the clock goes on
            await asyncio.sleep(0.02)


async def _is_in_force(ledger):
    return await in_journal(ledger, _in_force) or await in_ledger(ledger, _in_force)


def _in_force(connection, table):
    return connection.scalar(select(table.c.id).where(table.c.until > now()).limit(1)) is not None


async def _pass_time_beside(app):
    if app.engine.dialect.name == "sqlite":
        await pass_time(app.ledger)
        return
    engine = app.engine.execution_options(isolation_level="READ COMMITTED")
    async with engine.begin() as connection:
        for table in (app.ledger.table, journal_of(app.ledger.table)):
            free = await connection.scalars(select(table.c.id).with_for_update(skip_locked=True))
            await connection.execute(update(table).where(table.c.id.in_(free.all())).values(until=0))


async def _look(app):
    named, present = await _named(app), await _present(app)
    marks, noted, announced = await _known(app.ledger)
    owned = named | marks
    found = (owned - present, present - owned, noted - named, announced, named - noted)
    return Verdict(*(frozenset(each) for each in found))


async def _named(app):
    async with app.engine.connect() as connection:
        values = [value for column in _COLUMNS for value in await connection.scalars(select(column))]
    return {str(app.storage.identify(file.file_id)) for value in values for file in _files(value)}


def _files(value):
    return () if value is None else value if isinstance(value, Iterable) else (value,)


async def _present(app):
    return {str(app.storage.identify(info.file_id)) async for info in app.storage.list()}


async def _known(ledger):
    rows = await in_ledger(ledger, lambda found, table: found.execute(select(table.c.id, table.c.state)).all())
    marks = {id_ for id_, state in rows if state == State.MARK}
    announced = await in_journal(ledger, lambda found, journal: found.scalars(select(journal.c.id)).all())
    return marks, {id_ for id_, _ in rows} - marks, announced
