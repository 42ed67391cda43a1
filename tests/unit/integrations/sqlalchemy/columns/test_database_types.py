"""Column types as a database has them."""

import pytest
from sqlalchemy import JSON, Column, Index, Text, Unicode
from sqlalchemy.dialects.postgresql import JSONB

from async_storages.integrations.sqlalchemy import FileListType, FileType
from async_storages.integrations.sqlalchemy.columns.database_types import has_gin_index, type_in_database, variants_of
from tests.support.documents import row_class

VARIANT = Text()


def test_variants():
    assert variants_of(Unicode()) == {}
    assert variants_of(FileType().with_variant(VARIANT, "mysql")) == {"mysql": VARIANT}


@pytest.mark.parametrize(
    ("type_", "dialect", "expected"),
    [
        (FileType(), "sqlite", Unicode),
        (FileListType(), "sqlite", JSON),
        (FileType().with_variant(VARIANT, "mysql"), "mysql", Text),
        (FileType().with_variant(VARIANT, "mysql"), "sqlite", Unicode),
        (VARIANT, "sqlite", Text),
    ],
)
def test_the_type_in_a_database(type_, dialect, expected):
    assert type(type_in_database(type_, dialect)) is expected


@pytest.mark.parametrize("using", ["gin", "btree"])
def test_gin_indexes(using):
    table = row_class(files=Column(FileListType()), other=Column(JSONB())).__table__
    Index("ix_files", table.c.files, postgresql_using=using)
    assert has_gin_index(table.c.files) is (using == "gin")
    assert not has_gin_index(table.c.other)
