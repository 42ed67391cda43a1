"""Values of list columns that are no JSON: a worker goes on, names them, and keeps every file that their text names."""

import json

import pytest
from sqlalchemy import text

from tests.support.ledgers import settle
from tests.support.tracked import Book, files, pending


@pytest.fixture
def level():
    return 2


@pytest.fixture
async def write(engine):
    """Puts raw text into `albums.pages`, which on PostgreSQL becomes the JSON that an older program has made."""
    is_postgresql = engine.dialect.name == "postgresql"
    unchecked = "SET STATEMENT check_constraint_checks = 0 FOR " if engine.dialect.name == "mysql" else ""
    if is_postgresql:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE albums ALTER COLUMN pages TYPE text")

    async def write(value):
        async with engine.begin() as connection:
            new = text(f"{unchecked}INSERT INTO albums (id, pages) VALUES (77, :value)")
            await connection.execute(new, {"value": value})

    yield write
    if is_postgresql:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM albums")
            await connection.exec_driver_sql("ALTER TABLE albums ALTER COLUMN pages TYPE jsonb USING pages::jsonb")


BROKEN = {
    "cut off": lambda ids: json.dumps(ids)[:-1],
    "escaped and cut off": lambda ids: json.dumps(ids, ensure_ascii=True)[:-1],
    "not escaped and cut off": lambda ids: json.dumps(ids, ensure_ascii=False)[:-1],
    "no JSON at all": lambda ids: f"<{ids[0]}>",
}


@pytest.mark.parametrize("break_", BROKEN.values(), ids=BROKEN.keys())
async def test_a_malformed_value_keeps_what_its_text_names_and_stops_no_drain(
    sessions, storage, ledger, write, break_, caplog
):
    async with sessions.begin() as session:
        session.add_all([Book(id=1, file=pending("Ärger.txt")), Book(id=2, file=pending("unnamed"))])
    async with sessions() as session:
        named = (await session.get(Book, 1)).file.file_id
    await write(break_([named]))
    async with sessions.begin() as session:
        for number in (1, 2):
            await session.delete(await session.get(Book, number))
    done = await ledger.drain()
    assert (done.deleted, done.kept, await files(storage)) == (1, 1, {"Ärger.txt"})
    assert caplog.text.count("albums.pages of the row 77 is no JSON") == 1
    await settle(ledger)
    await ledger.drain()
    assert caplog.text.count("albums.pages of the row 77 is no JSON") == 1
    assert await files(storage) == {"Ärger.txt"}


async def test_well_formed_values_beside_it_are_read_as_ever(sessions, storage, ledger, write):
    await write("[")
    async with sessions.begin() as session:
        session.add(Book(id=1, file=pending("one")))
    async with sessions() as session:
        one = (await session.get(Book, 1)).file.file_id
    async with sessions.begin() as session:
        await session.execute(text("INSERT INTO albums (id, pages) VALUES (1, :value)"), {"value": json.dumps([one])})
        await session.delete(await session.get(Book, 1))
    await settle(ledger)
    assert await files(storage) == {"one"}


async def test_json_that_jsonb_cannot_hold(sessions, storage, ledger, is_sqlite, write):
    """A column of JSON, from before there was JSONB, takes a null character."""
    async with sessions.begin() as session:
        session.add(Book(id=1, file=pending("one")))
    async with sessions() as session:
        one = (await session.get(Book, 1)).file.file_id
    await write(json.dumps(["\0", one])[: -1 if is_sqlite else None])
    async with sessions.begin() as session:
        await session.delete(await session.get(Book, 1))
    await settle(ledger)
    assert await files(storage) == {"one"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hidden", [0, 0xD800, 0xDC00], ids=["null", "high half", "low half"])
async def test_json_that_jsonb_cannot_hold_on_older_postgresql(
    engine, sessions, storage, ledger, hidden, monkeypatch, caplog
):
    """Before 16 there is no function that tells whether it can."""
    async with sessions.begin() as session:
        session.add_all([Book(id=1, file=pending("one")), Book(id=2, file=pending("😀"))])
    async with sessions() as session:
        ids = [(await session.get(Book, number)).file.file_id for number in (1, 2)]
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE albums ALTER COLUMN pages TYPE json")
        rows = [{"id": 1, "value": json.dumps([chr(hidden), ids[0]])}, {"id": 2, "value": json.dumps([ids[1]])}]
        await connection.execute(text("INSERT INTO albums (id, pages) VALUES (:id, CAST(:value AS json))"), rows)
    monkeypatch.setattr(engine.sync_engine.dialect, "server_version_info", (15, 4))
    try:
        async with sessions.begin() as session:
            for number in (1, 2):
                await session.delete(await session.get(Book, number))
        await settle(ledger)
        assert await files(storage) == {"one", "😀"}
        assert caplog.text.count("albums.pages of the row 1 is no JSON") == 1
        assert caplog.text.count("is no JSON") == 1
    finally:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM albums")
            await connection.exec_driver_sql("ALTER TABLE albums ALTER COLUMN pages TYPE jsonb")
