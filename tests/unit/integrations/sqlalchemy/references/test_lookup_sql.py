"""The SQL that looks for ids in file columns; the answers are in tests/integration/sqlalchemy/test_references.py."""

import pytest
from sqlalchemy import ARRAY, Column, Index
from sqlalchemy.dialects import mssql, mysql, postgresql, sqlite

from async_storages import InvalidArgumentException
from async_storages.integrations.sqlalchemy import FileListType, FileType
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.references.column_locations import ColumnLocation
from async_storages.integrations.sqlalchemy.references.lookup_sql import build_lookup, is_searchable
from tests.support.documents import row_class


def location(type_, *, index=False, **options):
    table = row_class(**{"a:b": Column(type_)}).__table__
    if index:
        Index("ix_file", *table.c["a:b",], postgresql_using="gin")
    [field] = fields_of_table(table)
    return ColumnLocation(field, None, **options)


def test_lists_of_other_databases_are_refused():
    lists = location(FileListType("documents"))
    assert not is_searchable(lists, "mssql")
    with pytest.raises(InvalidArgumentException, match="mssql"):
        build_lookup((lists,), mssql.dialect())


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql"])
def test_lists_can_be_searched_on(dialect):
    assert is_searchable(location(FileListType("documents")), dialect)


def test_names_are_quoted():
    assert str(build_lookup((location(FileType()),), sqlite.dialect())).startswith('SELECT DISTINCT "rows"."a:b"')
    assert "`rows`.`a:b`" in str(build_lookup((location(FileType()),), mysql.dialect()))


@pytest.mark.parametrize(
    ("looked_into", "expected"),
    [
        (location(FileType()), " = _asked.id"),
        (location(ARRAY(FileType())), "unnest("),
        (location(ARRAY(FileType()), index=True), "@> ARRAY["),
        (location(FileListType()), "jsonb_path_query("),
        (location(FileListType(), index=True), "@> jsonb_build_array("),
        (location(FileType(), kind="array"), "unnest("),
        (location(FileListType(), kind="text"), "jsonb_path_query("),
    ],
    ids=["ids", "array", "indexed array", "list", "indexed list", "array now", "list in a text"],
)
def test_postgresql_looks_by_the_type_that_it_has(looked_into, expected):
    assert expected in str(build_lookup((looked_into,), postgresql.dialect()))
