"""Ledgers in tests: time passes at once for them, and their journals are looked into."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table

only_level_1 = pytest.mark.parametrize("level", [1], ids=["level 1"], indirect=True)
only_level_2 = pytest.mark.parametrize("level", [2], ids=["level 2"], indirect=True)


async def settle(ledger):
    """Let the grace of all uploads and all leases be over, then work and sweep."""
    await pass_time(ledger)
    await ledger.drain()
    await ledger.sweep(timedelta(0), force=True)
    done = await ledger.drain()
    await pass_time(ledger)  # in which late requests may have come
    await ledger.drain()
    return done


async def pass_time(ledger):
    await in_journal(ledger, lambda connection, journal: connection.execute(update(journal).values(until=0)))
    await in_ledger(ledger, lambda connection, table: connection.execute(update(table).values(until=0)))


async def in_ledger(ledger, work, *args):
    """The result of ``work(connection, the ledger's table, …)``, in a transaction of its own."""
    return await _in_transaction(ledger.engine, work, ledger.table, *args)


async def in_journal(ledger, work, *args):
    """The result of ``work(connection, the journal's table, …)``, in a transaction of its own."""
    journal = ledger.table.metadata.tables[f"{ledger.table.key}_journal"]
    if ledger.engine.dialect.name != "sqlite":
        return await _in_transaction(ledger.engine, work, journal, *args)
    make = create_async_engine if isinstance(ledger.engine, AsyncEngine) else create_engine
    url = ledger.engine.url.set(database=f"{ledger.engine.url.database}.uploads")

    def make_and_work(connection, journal):
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # an application's worker may be about to make it, too
        journal.create(connection, checkfirst=True)
        return work(connection, journal, *args)

    return await _in_transaction(make(url, poolclass=NullPool), make_and_work, journal)


async def _in_transaction(engine, work, *args):
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "READ COMMITTED"}
    if isinstance(engine, AsyncEngine):
        async with engine.connect() as connection:
            await connection.execution_options(**level)
            async with connection.begin():
                return await connection.run_sync(work, *args)

    def transact():
        with engine.connect().execution_options(**level) as connection, connection.begin():
            return work(connection, *args)

    return await asyncio.to_thread(transact)


def forget_ledgers(metadata):
    """Let files be deleted at once again, also by those who had none: columns remember the last ledger."""
    for table in metadata.tables.values():
        for field in fields_of_table(table):
            field.type.storage_ref.deletion_policy = None
