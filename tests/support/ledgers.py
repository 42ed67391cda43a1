"""Ledgers in tests, for which time passes at once."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table

only_level_1 = pytest.mark.parametrize("level", [1], ids=["level 1"], indirect=True)
only_level_2 = pytest.mark.parametrize("level", [2], ids=["level 2"], indirect=True)


async def settle(ledger):
    """Let the grace of all uploads and all leases be over, then work and sweep."""
    ledger._is_told = True  # which columns have no index: that takes longer than the rest
    await pass_time(ledger)
    await ledger.drain()
    await ledger.sweep(timedelta(0), force=True)
    done = await ledger.drain()
    await pass_time(ledger)  # in which late requests may have come
    await ledger.drain()
    return done


async def pass_time(ledger):
    databases = ledger._databases
    await databases.run_journal(lambda connection: connection.execute(update(databases.journal_table).values(until=0)))
    await databases.run(lambda connection: connection.execute(update(ledger.table).values(until=0)))


def forget_ledgers(metadata):
    """Let files be deleted at once again, also by those who had none: columns remember the last ledger."""
    for table in metadata.tables.values():
        for field in fields_of_table(table):
            field.type._ref.deletion_policy = None
