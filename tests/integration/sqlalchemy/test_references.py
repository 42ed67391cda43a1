"""Lookups of many ids at once in the rows of columns."""

import pytest
from sqlalchemy import ARRAY, JSON, Column, Index, Unicode, bindparam, literal, text
from sqlalchemy.dialects.postgresql import JSONB

from async_storages.integrations.sqlalchemy import FileListType, FileType
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.references.column_locations import locate_columns
from async_storages.integrations.sqlalchemy.references.lookup import find_named_ids
from async_storages.integrations.sqlalchemy.references.lookup_sql import build_lookup
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.documents import row_class

A, B, C, GONE = "mem:a.txt", "mem:Ä 'b' 😀.txt", "bare.txt", "mem:gone.txt"
ASKED = [A, B, C, GONE]

NESTED = [[[A, "mem:x"], [B, A]], [[C, None]], [], None]
LISTS = [[A, "mem:x", B, A], [C], [A], [], None]
NO_FACTS = JSONB(none_as_null=True).with_variant(JSON(), "sqlite", "mysql")
FACTS = {A: {"size": 1, "filename": C}, GONE: {"filename": GONE}, "mem:x": {}}  # GONE is not in its list any more
COLUMNS = {  # the column's type, what it is to the database, and values
    "single ids": (FileType("documents"), Unicode(1024), ["mem:x", A, A, B, C, None]),
    "lists": (FileListType("documents"), NO_FACTS, LISTS),
    "lists with facts": (
        FileListType("documents", facts=["size", "filename"]),
        NO_FACTS,
        [[A, "mem:x", B, FACTS], [C, {}], [{A: {"size": 1}, GONE: {}}], [], None],
    ),
    "lists that had facts": (FileListType("documents"), NO_FACTS, [[B, {B: {"size": 1}}], [A, {}], [C], [{GONE: {}}]]),
    "arrays": (ARRAY(FileType("documents")), ARRAY(Unicode()), LISTS),
    "arrays of arrays": (ARRAY(FileType("documents"), dimensions=2), ARRAY(Unicode(), dimensions=2), NESTED),
}


@pytest.fixture
def fill(engine):
    """A table, with an index of its column or without, filled in by a program that knows nothing of files."""

    async def fill(type_, raw, values, *, index=True):
        table = row_class(file=Column(type_)).__table__
        if index:
            using = "btree" if isinstance(type_, FileType) else "gin"
            Index("ix_file", table.c.file, postgresql_using=using, mysql_length=255)
        async with engine.begin() as connection:
            await connection.run_sync(table.metadata.create_all)
            await connection.execute(table.insert().values([{"file": literal(value, raw)} for value in values]))
        return table

    return fill


DATABASES = ("sqlite", "postgresql", "mariadb")


def ask(connection, table, ids):
    return find_named_ids(connection, locate_columns(connection, fields_of_table(table)), ids)


@pytest.fixture
def found(engine):
    async def found(table, ids=ASKED):
        async with engine.connect() as connection:
            return sorted(await connection.run_sync(ask, table, ids))

    return found


@pytest.mark.parametrize(
    ("database_url", "kind"),
    [(name, kind) for kind in COLUMNS for name in DATABASES if name == "postgresql" or "array" not in kind],
    indirect=["database_url"],
)
@pytest.mark.parametrize("index", [True, False], ids=["an index", "no index"])
async def test_each_id_is_found_once(fill, found, kind, index):
    table = await fill(*COLUMNS[kind], index=index)
    assert await found(table) == sorted([A, B, C])
    assert await found(table, [GONE]) == await found(table, []) == []
    assert await found(table, [A, *(f"mem:{number}" for number in range(1000))]) == [A]


BROKEN = [
    "null",
    '{"mem:a.txt": "mem:a.txt"}',
    "7",
    '["mem:x", null, 7, ["mem:a.txt"], {}]',
    '[{"mem:a.txt": 7}, "mem:x"]',
]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("index", [True, False], ids=["an index", "no index"])
async def test_what_others_wrote_does_not_break_it(fill, found, engine, broken, index):
    table = await fill(*COLUMNS["lists"][:2], [[A]], index=index)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            f"INSERT INTO {connection.dialect.identifier_preparer.quote('rows')} (file) VALUES ('{broken}')"
        )
    assert await found(table) == [A]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", COLUMNS)
async def test_an_index_serves_it(fill, engine, kind):
    table = await fill(*COLUMNS[kind])
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET enable_seqscan = off")
        [location] = await connection.run_sync(locate_columns, fields_of_table(table))
        statement = text(f"EXPLAIN {build_lookup((location,), engine.dialect).text}")
        ids = bindparam("ids", type_=ARRAY(Unicode()))
        plan = (await connection.execute(statement.bindparams(ids), {"ids": ASKED})).scalars().all()
    assert [line for line in plan if "ix_file" in line]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("JSONB", "'[\"mem:a.txt\"]'", [A]),
        ("VARCHAR(50)[]", "'{mem:a.txt}'", [A]),
        ("TEXT", "'mem:a.txt'", [A]),
        ("INTEGER", "7", []),
    ],
)
async def test_a_column_of_another_type_than_the_model_says(engine, found, type_, value, expected):
    """As in the middle of a migration, for a process with the older or the newer models."""
    table = row_class(file=Column(FileType("documents"))).__table__
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE rows (id SERIAL, file {type_})")
        await connection.exec_driver_sql(f"INSERT INTO rows (file) VALUES ({value})")
    if expected:
        assert await found(table) == expected
    else:
        async with engine.connect() as connection:
            [location] = await connection.run_sync(locate_columns, fields_of_table(table))
        assert location.is_hidden
