"""Locations of file columns for a connection, and the columns that can name a file."""

import pytest
from sqlalchemy import Column, create_engine, text

from async_storages import LocalStorage, MemoryStorage, StoredFile, registry
from async_storages.integrations.sqlalchemy import FileType
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.references.column_locations import (
    ColumnLocation,
    can_serve,
    fields_for_files,
    locate_columns,
    router_of,
)
from tests.support.documents import row_class


@pytest.fixture
def fields():
    return fields_of_table(row_class(one=Column(FileType("documents")), two=Column(FileType("archive"))).__table__)


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_columns_that_the_database_lacks_are_left_out(connection, fields):
    assert locate_columns(connection, fields) == []
    connection.execute(text("CREATE TABLE rows (ONE TEXT)"))
    assert locate_columns(connection, fields) == [ColumnLocation(fields[0], None)]


def test_schemas_are_translated_by_the_connection_or_the_statement(connection, fields):
    connection.execute(text("ATTACH ':memory:' AS other"))
    connection.execute(text("CREATE TABLE other.rows (one TEXT, two TEXT)"))
    options = {"schema_translate_map": {None: "other"}}
    assert {each.schema for each in locate_columns(connection, fields, options)} == {"other"}
    assert {each.schema for each in locate_columns(connection.execution_options(**options), fields)} == {"other"}


def test_columns_are_chosen_by_their_storages(tmp_path, fields, storage):
    with registry.override("archive", LocalStorage(tmp_path)) as archive:
        one, two = (TrackedFile.of(StoredFile("a.txt", each)) for each in (storage, archive))
        assert fields_for_files(fields, [one]) == [fields[0]]
        assert fields_for_files(fields, [two]) == [fields[1]]
        assert fields_for_files(fields, [one, two]) == list(fields)
        assert fields_for_files(fields, []) == []


def test_a_storage_that_is_unknown_here_could_be_any(storage):
    [field] = fields_of_table(row_class(file=Column(FileType("nowhere"))).__table__)
    assert router_of(field) is None
    assert can_serve(None, TrackedFile.of(StoredFile("a.txt", storage)))
    assert can_serve(MemoryStorage(), TrackedFile.of(StoredFile("nosuch:a.txt")))
