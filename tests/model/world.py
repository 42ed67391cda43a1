"""A database, a storage and sessions that all programs of a run share, and an onlooker who sees what is committed."""

import asyncio
import json
import logging
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg
import pymysql
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from async_storages import StorageUnavailableException, registry
from async_storages.integrations.sqlalchemy import FileLedger, add_ledger_tables, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.integrations.sqlalchemy.ledger.tables import State
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from tests.integration.transactions.conftest import begin_with_begin
from tests.support.ledgers import forget_ledgers, in_journal, settle
from tests.support.plain_sessions import PlainSessions, plain_url
from tests.support.tracked import Base, TroubledStorage

TRACKING, LEDGER = TIERS = ("tracking", "ledger")
ASYNC, PLAIN = SESSIONS = ("async", "plain")
SQLITE, POSTGRESQL = DATABASES = ("sqlite", "postgresql")
MARIADB = "mariadb"

_COLUMNS = (
    *("books.file", "books.deferred", "books.kept", "books.shared"),
    *("loans.file", "loans.shared", "albums.pages", "albums.kept", "albums.shared"),
)
_TABLES = ("books", "loans", "shelves", "albums")
_LOCK_TIMEOUT = "20ms"
"""Of PostgreSQL: sessions take turns in one task, so whoever waits for another one waits in vain."""


def _named(text_type):
    return " UNION ALL ".join(
        f"SELECT '{each}' AS place, id, CAST({each.partition('.')[2]} AS {text_type}) AS named "
        f"FROM {each.partition('.')[0]} WHERE {each.partition('.')[2]} IS NOT NULL"
        for each in _COLUMNS
    )


class ModelStorage(TroubledStorage):
    """Fails once, when it is told to, and remembers which files it did not delete.

    Attributes:
        failing: By operation, how many of them are left until the one that fails.
        undeleted: Ids of files that it was to delete and did not.
    """

    def __init__(self):
        super().__init__()
        self.failing = {}
        self.undeleted = set()

    async def _meet(self, operation, key):
        left = self.failing.pop(operation, 0)
        if left > 1:
            self.failing[operation] = left - 1
        if left == 1:
            if operation == "delete":
                self.undeleted.add(str(self.identify(key)))
            raise StorageUnavailableException("told to", operation=operation)

    @property
    def contents(self):
        """The bytes of each file by its id, without a ledger's marks."""
        return {f"mem:{key}": data for key, (data, _) in self._files.items() if FOLDER not in key}

    def clear(self):
        self._files = {key: file for key, file in self._files.items() if FOLDER in key}
        self.failing.clear()
        self.undeleted.clear()


class _Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


class World:
    """The database, storage and sessions in which programs run.

    Attributes:
        log: Warnings of the package since the last `clear`.

    Args:
        url: SQLAlchemy's, of a database with tables, for an asynchronous driver.
        tier: "tracking" or "ledger".
        storage: The registered one.
        sessions: "async" for AsyncSession, "plain" for Session.
    """

    def __init__(self, url, tier, storage, sessions=ASYNC):
        self._named = _named("CHAR" if url.startswith("mysql") else "TEXT")
        self.storage = storage
        self._handler = _Log()
        self.log = self._handler.lines
        logging.getLogger("async_storages").addHandler(self._handler)
        self._runner = asyncio.Runner()
        self.engine = _engine(url) if sessions == ASYNC else _plain_engine(url)
        if self.engine.dialect.name == SQLITE:
            begin_with_begin(getattr(self.engine, "sync_engine", self.engine))
        self.ledger = FileLedger(self.engine, Base.metadata) if tier == LEDGER else None
        self.untracked, self.sessions = self._maker(), self._maker()
        enable_file_tracking(getattr(self.sessions, "maker", self.sessions), ledger=self.ledger)
        self._onlooker = _onlooker(url)

    def _maker(self):
        maker = async_sessionmaker(self.engine)
        return maker if isinstance(self.engine, AsyncEngine) else PlainSessions.of(maker, self.engine)

    def run(self, coroutine):
        return self._runner.run(coroutine)

    def committed(self):
        """The ids that each place, a column of a row, names for all to see."""
        return dict(map(_parsed, self._onlooker.execute(self._named)))

    async def seen_by(self, session):
        """The same, as its transaction sees it."""
        seen = await session.run_sync(lambda each: each.connection().execute(text(self._named)).all())
        return dict(map(_parsed, seen))

    def clear(self):
        self.storage.clear()
        self.log.clear()
        files_in_use.forget_all_files()
        if self.engine.dialect.name == POSTGRESQL:
            self._onlooker.execute(f"TRUNCATE {', '.join(_TABLES)}")
        else:
            for table in _TABLES:
                self._onlooker.execute(f"DELETE FROM {table}")
        if self.ledger is not None:
            self._onlooker.execute(f"DELETE FROM stored_files WHERE state <> '{State.MARK}'")
            self.run(in_journal(self.ledger, lambda connection, journal: connection.execute(journal.delete())))

    async def settle(self):
        """Let the worker do all that is left for it."""
        if self.ledger is not None:
            await settle(self.ledger)

    async def sweep(self):
        await self.ledger.sweep(timedelta(0), force=True)

    def close(self):
        logging.getLogger("async_storages").removeHandler(self._handler)
        self._onlooker.close()
        self.run(self._dispose())
        self._runner.close()

    async def _dispose(self):
        if self.ledger is not None:
            await self.ledger.aclose()
        if isinstance(self.engine, AsyncEngine):
            await self.engine.dispose()
        else:
            self.engine.dispose()


@contextmanager
def world(url, tier, sessions=ASYNC):
    """A World in the tables of `make_tables`."""
    with (
        registry.override("documents", ModelStorage()) as storage,
        closing(World(url, tier, storage, sessions)) as made,
    ):
        made.clear()
        yield made
    forget_ledgers(Base.metadata)


def make_tables(url):
    """In an empty database; SQLite's lets readers be while somebody writes."""
    engine = create_engine(plain_url(url))
    if engine.dialect.name == SQLITE:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    add_ledger_tables(Base.metadata)
    Base.metadata.create_all(engine)
    engine.dispose()


def _parsed(row):
    place, id_, named = row
    items = (json.loads(named) or ()) if place.startswith("albums") else (named,)
    return (place, id_), tuple(each for each in items if isinstance(each, str))  # after them are the facts of lists


def _engine(url):
    return create_async_engine(url, connect_args=_connect_args(url))


def _plain_engine(url):
    url = plain_url(url)
    return create_engine(url, connect_args=_connect_args(url))


def _connect_args(url):
    if url.startswith(SQLITE):
        return {"timeout": 0}
    if "+asyncpg" in url:
        return {"server_settings": {"lock_timeout": _LOCK_TIMEOUT}}
    if url.startswith("mysql"):
        return {"init_command": "SET innodb_lock_wait_timeout = 1"}  # with 0, SKIP LOCKED fails (error 1180)
    return {"options": f"-c lock_timeout={_LOCK_TIMEOUT}"}


def _onlooker(url):
    if url.startswith(SQLITE):
        return sqlite3.connect(url.partition(":///")[2], isolation_level=None)
    if url.startswith("mysql"):
        return _MariaDBOnlooker(url)
    plain = url.replace("+asyncpg", "").replace("+psycopg", "")
    return psycopg.connect(plain, autocommit=True)


class _MariaDBOnlooker:
    """A connection of PyMySQL with the methods of the others."""

    def __init__(self, url):
        parsed = make_url(url)
        where = {"unix_socket": parsed.query["unix_socket"], "user": parsed.username, "database": parsed.database}
        self._connection = pymysql.connect(**where, autocommit=True)

    def execute(self, statement):
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def close(self):
        self._connection.close()
