"""An idle pass of a ledger's worker over many tables: for how long it keeps the event loop busy at a time."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, mapped_column

from async_storages import MemoryStorage
from async_storages.integrations.sqlalchemy import FileLedger, FileType
from benchmarks import Figure, Goal

TABLES, COLUMNS = 200, 20
ROUNDS = 9
GOAL = 0.002  # seconds


def models() -> list[type[Any]]:
    """The mapped classes, of which each has one file column; they are forgotten with the list."""
    storage = MemoryStorage()

    class Base(DeclarativeBase):
        pass

    made = []
    for number in range(TABLES):
        columns: dict[str, Any] = {f"c{each}": mapped_column(String(50)) for each in range(COLUMNS - 2)}
        columns |= {"id": mapped_column(Integer, primary_key=True), "file": mapped_column(FileType(storage))}
        made.append(type(f"Model{number}", (Base,), {"__tablename__": f"t{number}", **columns}))
    return [Base, *made]


async def longest_stalls() -> list[float]:
    """Seconds of CPU that the loop's thread spent at most between two turns, in each idle pass."""
    base, *kept = models()
    with tempfile.TemporaryDirectory() as folder:
        engine = create_async_engine(f"sqlite+aiosqlite:///{Path(folder, 'rows.db')}")
        ledger = FileLedger(engine, metadata=base.metadata)
        async with engine.begin() as connection:
            await connection.run_sync(base.metadata.create_all)
        await ledger.create()
        await ledger.drain()  # the first pass registers the columns, and warns of missing indexes
        stalls = [await longest_stall(ledger) for _ in range(ROUNDS)]
        await engine.dispose()
    assert len(kept) == TABLES
    return stalls


async def longest_stall(ledger: FileLedger) -> float:
    longest = 0.0
    drain = asyncio.create_task(ledger.drain())
    before = time.thread_time()
    while not drain.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    await drain
    return longest


def measure() -> Iterator[Figure]:
    logging.getLogger("async_storages").addHandler(logging.NullHandler())  # the tables have no indexes
    median = sorted(asyncio.run(longest_stalls()))[ROUNDS // 2]
    what = f"Idle drain(), {TABLES} tables × {COLUMNS} columns: CPU at a time on the loop"
    yield Figure(what, "ms of CPU", median * 1000, goals=(Goal(GOAL * 1000),))
