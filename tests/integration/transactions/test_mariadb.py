"""MariaDB: many uploads at once do not wait for each other's gaps, and lists are compared by characters."""

import asyncio
from itertools import product

import pytest
from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from async_storages import PendingFile
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.ledger import deletion_decisions, entries, journal
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.row_locks import delete_ids
from async_storages.integrations.sqlalchemy.ledger.tables import State, journal_of
from async_storages.integrations.sqlalchemy.references.column_locations import locate_columns
from async_storages.integrations.sqlalchemy.references.lookup_sql import build_lookup
from tests.support.ledgers import only_level_2
from tests.support.tracked import Album, Book, pending


@pytest.fixture(params=["asyncmy", "aiomysql"])
def database_url(request, mariadb_database):
    return mariadb_database.replace("+asyncmy", f"+{request.param}")


@pytest.fixture(params=["REPEATABLE READ", "READ COMMITTED"])
async def engine(request, database_url):
    engine = create_async_engine(database_url, isolation_level=request.param)
    yield engine
    await engine.dispose()


async def test_many_sessions_upload_and_replace_at_once(sessions, rows, left):
    async def work(number):
        async with sessions.begin() as session:
            await session.scalar(select(Book.id))  # its snapshot is older than the other sessions' files
            session.add(Book(id=number, file=pending(f"first-{number}")))
        async with sessions.begin() as session:
            (await session.get(Book, number)).file = pending(f"second-{number}")

    await asyncio.gather(*(work(number) for number in range(1, 13)))
    names = {number: f"second-{number}" for number in range(1, 13)}
    assert (await rows(), await left()) == (names, {*names.values()})


async def test_lists_are_searched_by_characters(sessions):
    async with sessions.begin() as session:
        session.add(Album(id=1, pages=[PendingFile(b"", filename="Ärger.txt")]))
    async with sessions() as session:
        album = await session.scalar(select(Album))
        assert await session.scalar(select(Album.id).where(Album.pages.contains(album.pages[0]))) == 1
        other = str(album.pages[0].file_id).swapcase().replace("MEM", "mem")
        assert await session.scalar(select(Album.id).where(Album.pages.contains(other))) is None


async def test_a_statement_that_ends_the_transaction_leaves_the_file_of_its_row(sessions, rows, left):
    async with sessions() as session:
        session.add(Book(id=1, file=pending("new")))
        await session.flush()
        await session.execute(text("CREATE TABLE others (id INTEGER)"))  # commits
        await session.rollback()
    assert (await rows(), await left()) == ({1: "new"}, {"new"})


async def test_an_index_of_a_prefix_finds_the_rows_that_name_a_file(engine):
    """Book.shared has one."""

    def explain(connection):
        connection.execute(insert(Book), [{"shared": f"mem:{number:06}"} for number in range(2000)])
        [column] = locate_columns(
            connection, [each for each in fields_of_table(Book.__table__) if each.column.name == "shared"]
        )
        explain = "EXPLAIN" if connection.dialect.is_mariadb else "EXPLAIN FORMAT=TRADITIONAL"  # MySQL 9 draws a tree
        lookup = text(f"{explain} {build_lookup((column,), connection.dialect).text}")
        lookup = lookup.bindparams(bindparam("ids", expanding=True))
        return connection.execute(lookup, {"ids": ["mem:000100", "mem:000200"]}).mappings().one()

    async with engine.begin() as connection:
        plan = await connection.run_sync(explain)
    assert (plan["key"], int(plan["rows"])) == ("ix_books_shared", 2)


IDS = [f"mem:{each}" for each in "abcdef"]
OF_SESSIONS = {
    "claim": lambda c, t, j, ids: entries.claim(c, t, [Entry(each, "documents") for each in ids]),
    "claim pinned": lambda c, t, j, ids: entries.claim(c, t, [Entry(each, "documents", True) for each in ids]),
    "doom": lambda c, t, j, ids: entries.doom(c, t, dict.fromkeys(ids, "documents"), 0),
}
OF_WORKERS = {
    "postpone": lambda c, t, j, ids: deletion_decisions.postpone(c, t, ids, 60),
    "delete": lambda c, t, j, ids: delete_ids(c, t, ids),
    "announce": lambda c, t, j, ids: journal.announce(c, j, [Intent(each, "documents") for each in ids], 60),
    "expire": lambda c, t, j, ids: journal.expire(c, j, [Intent(each, "documents") for each in ids]),
    "renew": lambda c, t, j, ids: journal.renew(c, j, ids, 60),
    "drop": lambda c, t, j, ids: journal.drop(c, j, ids),
    "drop unlocked": lambda c, t, j, ids: journal.drop_unlocked(c, j, ids),
}


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        *product(["REPEATABLE READ"], OF_SESSIONS),
        *product(["READ COMMITTED"], OF_SESSIONS | OF_WORKERS),
    ],
    indirect=["engine"],
)
@only_level_2
async def test_only_the_rows_that_are_asked_for_are_locked(engine, ledger, name):
    """Of a small table MySQL reads, and locks, all rows, unless it is told to use the key."""
    table, uploads = ledger.table, journal_of(ledger.table)
    async with engine.begin() as connection:
        for each in (table, uploads):
            await connection.run_sync(enter, each, IDS)
    async with engine.connect() as first, engine.connect() as second:
        await second.execute(text("SET innodb_lock_wait_timeout = 1"))  # the error of a wait
        for connection, ids in [(first, IDS[::2]), (second, [*IDS[1::2], "mem:bb", "mem:z"])]:
            await connection.run_sync((OF_SESSIONS | OF_WORKERS)[name], table, uploads, ids)
        await second.rollback()


def enter(connection, table, ids):
    new = {"storage": "documents", "until": 0}
    if "state" in table.c:
        new |= {"state": State.DOOMED, "since": 0, "pinned": False}
    connection.execute(table.insert(), [{"id": each, **new} for each in ids])
