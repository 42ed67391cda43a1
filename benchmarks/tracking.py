"""What tracking files costs a commit: rows with a file of 1 KiB in a folder, and rows without, at each level."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import LocalStorage, PendingFile, StoredFile, registry
from async_storages.integrations.sqlalchemy import FileLedger, FileType, enable_file_tracking
from async_storages.testing.postgres import postgres_server
from benchmarks import Figure, Goal
from benchmarks.s3 import rotated

ROUNDS = 5
COMMITS = 100
"""Per round."""

TASKS = (1, 8)
CONTENT = bytes(range(256)) * 4  # 1 KiB
WITH_FILE, WITHOUT_FILE = "with a file of 1 KiB", "without a file"
LEVELS = ("no tracking", "level 1", "level 2")
SHOWN = {"level 1": "with tracking", "level 2": "with a ledger"}
GOALS = {1: 0.8, 8: 0.9}
"""What a ledger must reach of no tracking on PostgreSQL, by tasks at once."""

LOCK_TIMEOUT = 60  # seconds: on SQLite all wait for one
MEMORY = Path("/dev/shm")  # the disk of a virtual machine would be most of what is measured


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[StoredFile | None] = mapped_column(FileType("tracking"), index=True)


type Commit = Callable[[], Awaitable[None]]


def measure() -> Iterator[Figure]:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        for database, where in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
            with where(folder) as url:
                for (kind, tasks), speeds in asyncio.run(measured(url, LocalStorage(Path(folder, database)))).items():
                    yield from compared(database, kind, tasks, speeds)


def compared(database: str, kind: str, tasks: int, speeds: dict[str, float]) -> Iterator[Figure]:
    """The levels of tracking, each beside none."""
    none = LEVELS[0]
    for level, name in SHOWN.items():
        has_goal = (database, kind, level) == ("PostgreSQL", WITH_FILE, LEVELS[2])
        goals = (Goal(GOALS[tasks], none),) if has_goal else ()
        what = f"{database}, {kind}, {tasks} at once, {name}"
        yield Figure(what, "commits per second", speeds[level], {none: speeds[none]}, goals, is_more_better=True)


@contextmanager
def sqlite(folder: str) -> Iterator[str]:
    yield f"sqlite+aiosqlite:///{folder}/rows.sqlite"


@contextmanager
def postgresql(_: str) -> Iterator[str]:
    with postgres_server() as server:
        yield server.url()


async def measured(url: str, storage: LocalStorage) -> dict[tuple[str, int], dict[str, float]]:
    """By kind of row and tasks at once, by level: the median of the rounds, which take turns."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    with registry.override("tracking", storage):
        async with levels(url) as sessions:
            for kind in (WITH_FILE, WITHOUT_FILE):
                commits = {level: committing(level, sessions[level], storage, kind) for level in LEVELS}
                for tasks in TASKS:
                    runs: dict[str, list[float]] = {
                        level: [await per_second(commits[level], tasks)] for level in LEVELS
                    }
                    for turn in range(ROUNDS):
                        for level in rotated(list(LEVELS), turn):
                            runs[level].append(await per_second(commits[level], tasks))
                    found[kind, tasks] = {
                        level: statistics.median(speeds[1:]) for level, speeds in runs.items()
                    }  # warm
    return found


@asynccontextmanager
async def levels(url: str) -> AsyncIterator[dict[str, Any]]:
    """Sessions of each level, for one database."""
    engine = make_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    ledger = FileLedger(engine, metadata=Base.metadata)
    await ledger.create()
    yield {
        LEVELS[0]: async_sessionmaker(engine),
        LEVELS[1]: enable_file_tracking(async_sessionmaker(engine)),
        LEVELS[2]: enable_file_tracking(async_sessionmaker(engine), ledger=ledger),
    }
    await engine.dispose()


def make_engine(url: str) -> AsyncEngine:
    if url.startswith("sqlite"):
        return create_async_engine(url, connect_args={"timeout": LOCK_TIMEOUT})
    return create_async_engine(url, pool_size=max(TASKS))


def committing(level: str, sessions: Any, storage: LocalStorage, kind: str) -> Commit:
    """What inserts a row and commits; without tracking, the file is saved before."""

    async def commit() -> None:
        file: Any = None
        if kind == WITH_FILE:
            is_tracked = level != LEVELS[0]
            file = PendingFile(CONTENT, "1.bin") if is_tracked else await storage.save(CONTENT, "1.bin")
        async with sessions() as session:
            session.add(Document(title="a title", file=file))
            await session.commit()

    return commit


async def per_second(commit: Commit, tasks: int) -> float:
    """So many commits, by so many tasks at once."""
    left = iter(range(COMMITS))

    async def work() -> None:
        for _ in left:
            await commit()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in repeat(None, tasks)))
    return COMMITS / (time.perf_counter() - started)
