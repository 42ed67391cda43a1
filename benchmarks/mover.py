"""A process that moves files or verifies them, and says how far it is: ``python -m benchmarks.mover TASK PLACE``.

It prints lines of JSON: after each hundred files their number and the CPU time so far, and what the task cost when it
is done.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import LocalStorage, S3Storage, StorageManager, StoredFile, registry
from async_storages.integrations.sqlalchemy import FileType, Migration
from benchmarks.worker import measured

CONCURRENCY = 8
LEASE = timedelta(seconds=10)
"""The time after which files of a killed mover are moved by the next one."""

EVERY = 100


class Base(DeclarativeBase):
    pass


class Paper(Base):
    __tablename__ = "papers"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType("papers"), index=True)


@dataclass(frozen=True)
class Place:
    """The database, and the storages that files are moved between.

    Attributes:
        database: Its URL.
        folder: The folder that has files in ``old``; they are moved to ``new`` where there is no S3.
        s3: The arguments of the `S3Storage` that they are moved to, if there is one.
    """

    database: str
    folder: str
    s3: dict[str, Any] | None = None


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Migration]:
    engine = create_async_engine(place.database, pool_size=2 * CONCURRENCY)
    folder = LocalStorage(place.folder)
    target = S3Storage(**place.s3) if place.s3 else folder.within("new")
    router = StorageManager.from_storages(target, folder) if place.s3 else folder
    with registry.override("papers", router):
        async with folder, target:
            yield Migration(engine, Base.metadata, source=folder.within("old"), target=target, lease=LEASE)
    await engine.dispose()


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


async def create(migration: Migration) -> None:
    async with migration.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    say({})


async def plan(migration: Migration) -> None:
    with measured() as cost:
        planned = await migration.plan()
    say(cost | {"files": planned.added})


async def move(migration: Migration) -> None:
    """Move what is planned; a few files are moved before, as what is imported late is imported then."""
    done = (await migration.run(concurrency=CONCURRENCY, limit=CONCURRENCY)).moved
    with measured() as cost:
        result = await migration.run(concurrency=CONCURRENCY, on_progress=now_and_then)
    say(cost | asdict(result) | {"files": done + result.moved})


def now_and_then(result: Any) -> None:
    if result.moved % EVERY == 0:
        say([result.moved, time.process_time()])


async def plan_and_move(migration: Migration) -> None:
    """The whole of a small migration, as a command would do it."""
    with measured() as cost:
        await migration.plan()
        result = await migration.run(concurrency=CONCURRENCY)
    say(cost | {"files": result.moved})


async def verify(migration: Migration) -> None:
    with measured() as cost:
        result = await migration.verify(content=True)
    say(cost | {"files": result.right, "is_right": result.is_right and not result.unmoved and not result.unnamed})


TASKS = {each.__name__: each for each in (create, plan, move, plan_and_move, verify)}


async def main(task: str, place: str) -> None:
    async with opened(Place(**json.loads(place))) as migration:
        await TASKS[task](migration)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
