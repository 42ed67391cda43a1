"""The table of moves."""

import pytest
from sqlalchemy import MetaData
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from async_storages.integrations.sqlalchemy import add_move_table
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.migration.tables import is_move_table


def test_twice_is_once_and_another_name_another_table():
    metadata = MetaData(schema="own")
    table = add_move_table(metadata)
    assert add_move_table(metadata) is table
    assert (table.fullname, add_move_table(metadata, "others").fullname) == ("own.file_moves", "own.others")
    assert is_move_table(table)


def test_who_asks_for_files_looks_into_it():
    assert {field.key for field in fields_of_table(add_move_table(MetaData()))} == {"arriving", "retained"}


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()], ids=["postgresql", "mysql"])
def test_its_sql(dialect):
    assert "source" in str(CreateTable(add_move_table(MetaData())).compile(dialect=dialect))
