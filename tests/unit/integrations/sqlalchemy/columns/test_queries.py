"""Queries over whole columns: which ones there are; their results are in tests/integration/sqlalchemy."""

import pytest
from sqlalchemy import Column, Index, Table, create_engine, text
from sqlalchemy.orm import Session

from async_storages import InvalidArgumentException, MemoryStorage
from async_storages.integrations.sqlalchemy import FileListType, FileType, normalise_file_ids
from async_storages.integrations.sqlalchemy.columns.queries import malformed_rows
from tests.support.documents import row_class


@pytest.fixture
def table() -> Table:
    return row_class(file=Column(FileType("documents")), files=Column(FileListType("documents"))).__table__


@pytest.fixture
def session(table):
    engine = create_engine("sqlite://")
    table.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_rows_with_malformed_lists(session, table):
    values = ("'[]'", "NULL", "'[\"mem:a\"]'", "'[oops'", "'{}'")
    session.execute(text(f"INSERT INTO rows (files) VALUES {', '.join(f'({each})' for each in values)}"))
    assert session.scalars(malformed_rows(table.c.files, "sqlite")).all() == [4]


def test_columns_that_hold_no_malformed_lists(table):
    assert malformed_rows(table.c.file, "sqlite") is None
    assert malformed_rows(table.c.files, "mssql") is None
    Index("ix_files", table.c.files, postgresql_using="gin")
    assert malformed_rows(table.c.files, "sqlite") is None


def test_lists_are_not_normalised(session, table):
    with pytest.raises(InvalidArgumentException, match="holds lists"):
        normalise_file_ids(session.connection(), table.c.files, MemoryStorage())
