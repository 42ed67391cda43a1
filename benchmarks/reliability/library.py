"""What a scenario needs of a library: models, sessions, new content; and what there is afterwards."""

import asyncio
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeEngine

from benchmarks.reliability.judge import Row
from benchmarks.reliability.models import declare
from benchmarks.reliability.trouble import Trouble

SQLITE_TIMEOUT = 0.3  # seconds that a session waits for another one: in a scenario it waits in vain
TERMINATE_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
EMPTY_SCHEMA = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


class NotApplicableError(Exception):
    """The library, or the database, has no such thing; the message says what is missing."""


class Library(ABC):
    """One library on one database and one folder.

    Args:
        name: What it is called in the table.
        url: The database, with an asynchronous driver.
        folder: An empty folder, for the files and a SQLite database.

    Attributes:
        sessions: Makes sessions, with the options of a sessionmaker.
        trouble: What its storage meets.
        models: The classes of `declare`.
    """

    packages: tuple[str, ...]
    is_async = True

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self.name = name
        self.url, self.folder = make_url(url), folder
        self.files = folder / "files"
        self.files.mkdir(exist_ok=True)
        self.trouble = Trouble()
        self.engine: Any = self.make_engine()
        self.models = declare(self.column, self.list_column())
        self.sessions: Callable[..., Any]

    @classmethod
    def versions(cls) -> str:
        return ", ".join(f"{package} {version(package)}" for package in cls.packages)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    # ---- what each library does differently

    @abstractmethod
    def column(self, is_shared: bool) -> TypeEngine[Any]:
        """The type of a file column; `is_shared` where several rows may name one file."""

    @abstractmethod
    def list_column(self) -> TypeEngine[Any]:
        """The type of a column with several files."""

    @abstractmethod
    async def begin(self) -> None:
        """Make `sessions` for a database whose tables are there."""

    @abstractmethod
    def new(self, text: str, filename: str | None = None) -> Any:
        """Content to assign to a column; with a file name, that is all that is said of where it goes."""

    @abstractmethod
    def missing(self) -> Any:
        """A value that names a file that never existed."""

    @abstractmethod
    def names(self, value: Any) -> frozenset[str]:
        """The files, relative to the folder, that a value from the database names."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait for what the library does later."""

    def is_file(self, name: str) -> bool:
        """Whether what is in the folder is a file that was stored, and not the backend's own."""
        return not name.startswith(".")

    # ---- the database

    def make_engine(self) -> AsyncEngine | Engine:
        engine = create_async_engine(self.url, **self.engine_options())
        if self.is_sqlite:
            begin_with_begin(engine.sync_engine)
        return engine

    def engine_options(self) -> dict[str, Any]:
        if not self.is_sqlite:
            return {}
        # a pool would keep the transaction, and its locks, of a session whose commit has failed
        return {"poolclass": NullPool, "connect_args": {"timeout": SQLITE_TIMEOUT}}

    async def call[Result](self, function: Callable[[Connection], Result]) -> Result:
        """Call it with a connection, in a transaction that is committed."""
        async with self.engine.begin() as connection:
            return await connection.run_sync(function)

    async def execute(self, *statements: str) -> None:
        """Raw SQL, which no session sees."""
        for statement in statements:
            await self.call(lambda connection, statement=statement: connection.exec_driver_sql(statement))

    @asynccontextmanager
    async def rolled_back(self) -> AsyncIterator[Any]:
        """A connection in a transaction that is rolled back, as a test has it."""
        async with self.engine.connect() as connection:
            outer = await connection.begin()
            yield connection
            await outer.rollback()

    async def end(self) -> None:
        await self.engine.dispose()

    # ---- before and after a scenario

    async def reset(self) -> None:
        """No files, empty tables."""
        self.trouble = Trouble()
        await self.end()
        for path in self.files.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.is_sqlite:
            for path in self.folder.glob(f"{Path(str(self.url.database)).name}*"):
                path.unlink()
        else:
            await self.disconnect_others()
            await self.execute(*EMPTY_SCHEMA.split("; "))
        await self.call(self.models.Base.metadata.create_all)
        await self.begin()

    async def disconnect_others(self) -> None:
        """A server notices only after a while that a process was killed."""
        if not self.is_sqlite:
            await self.execute(TERMINATE_OTHERS)

    def present(self) -> dict[str, str]:
        """The files, by name relative to the folder, with their text."""
        paths = {path.relative_to(self.files).as_posix(): path for path in self.files.rglob("*") if path.is_file()}
        return {name: path.read_text() for name, path in paths.items() if self.is_file(name)}

    async def rows(self) -> list[Row]:
        """All rows that have a file column."""
        found = await self.call(self._values)
        return [Row(text, self.all_names(value)) for text, value in found]

    def all_names(self, value: Any) -> frozenset[str]:
        values = value if isinstance(value, list) else [value]
        return frozenset[str]().union(*(self.names(each) for each in values if each))

    def _values(self, connection: Connection) -> list[Any]:
        return [
            row for class_ in self.models.with_files for row in connection.execute(select(class_.text, class_.file))
        ]


class Blocking:
    """A plain `Session`, or what it returns, called as if it were an AsyncSession."""

    AT_ONCE = frozenset({"add", "add_all", "expire", "expunge"})

    def __init__(self, session: Session) -> None:
        self.sync_session = session

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.sync_session, name)

        async def call(*args: Any, **options: Any) -> Any:
            return method(*args, **options)

        return method if name in self.AT_ONCE else call

    async def run_sync[Result](self, function: Callable[[Session], Result]) -> Result:
        return function(self.sync_session)

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        with self.sync_session.begin_nested():
            yield

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.sync_session.close()


class BlockingLibrary(Library):
    """One whose sessions are plain."""

    is_async = False

    def make_engine(self) -> Engine:
        driver = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[self.url.get_backend_name()]
        engine = create_engine(self.url.set(drivername=driver), **self.engine_options())
        if self.is_sqlite:
            begin_with_begin(engine)
        return engine

    async def call[Result](self, function: Callable[[Connection], Result]) -> Result:
        with self.engine.begin() as connection:
            return function(connection)

    @asynccontextmanager
    async def rolled_back(self) -> AsyncIterator[Any]:
        with self.engine.connect() as connection:
            outer = connection.begin()
            yield connection
            outer.rollback()

    async def end(self) -> None:
        self.engine.dispose()


def begin_with_begin(engine: Engine) -> None:
    """So that savepoints work: see "Enabling Non-Legacy SQLite Transactional Modes" in SQLAlchemy's documentation."""
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


def _connected(connection: Any, _: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


async def background() -> None:
    """Wait for all tasks but this one."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
