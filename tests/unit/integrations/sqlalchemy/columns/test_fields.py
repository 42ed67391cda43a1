"""File attributes of classes, file columns of tables, and the files in their values."""

import pytest
from sqlalchemy import ARRAY, Column, Integer, String, Table, Unicode, inspect, select

from async_storages import PendingFile, StoredFile
from async_storages.integrations.sqlalchemy import FileListType, FileType
from async_storages.integrations.sqlalchemy.columns.fields import (
    all_file_fields,
    fields_of,
    fields_of_table,
    file_type,
    has_pending_content,
    iterate_files,
    mapped_fields,
    mapper_of,
    replace_files,
    stored_files_in,
)
from tests.support.documents import Document, row_class

A, B, CONTENT = StoredFile("mem:a"), StoredFile("mem:b"), PendingFile(b"content")


def test_file_attributes_of_a_class():
    assert [field.key for field in fields_of(inspect(Document))] == ["file", "copy", "photo"]
    assert {field.column for field in fields_of(inspect(Document))} <= {field.column for field in mapped_fields()}


def test_file_columns_of_a_table():
    assert [field.key for field in fields_of_table(Document.__table__)] == ["file", "copy", "photo"]
    assert fields_of_table(select(Document.__table__).subquery()) == ()


def test_tables_beside_those_of_classes_count_from_the_moment_they_are_there():
    row = row_class(file=Column(FileType("documents")))
    fields_of(inspect(row))
    before = {field.column for field in all_file_fields()}
    beside = Table("beside", row.metadata, Column("id", Integer), Column("file", FileType("documents")))
    assert {field.column for field in all_file_fields()} - before == {beside.c.file}
    assert mapper_of(row.__table__) is inspect(row)
    assert mapper_of(beside) is None


TYPE = FileType()
FILE_TYPES = {
    "itself": (TYPE, TYPE),
    "an array": (ARRAY(TYPE), TYPE),
    "a variant": (String().with_variant(TYPE, "mysql"), TYPE),
    "a string": (Unicode(), None),
    "an array of strings": (ARRAY(String()), None),
}


@pytest.mark.parametrize(("type_", "expected"), FILE_TYPES.values(), ids=FILE_TYPES)
def test_the_type_of_the_files_in_a_column(type_, expected):
    assert file_type(type_) is expected


def test_the_type_of_the_files_in_a_list():
    type_ = FileListType()
    assert file_type(type_) is type_.item_type


def test_files_that_are_kept_by_their_column():
    row = row_class(
        kept=Column(FileType("documents", on_delete="keep")),
        file=Column(FileType("documents"), default="a", server_default="b"),
    )
    kept, file = fields_of(inspect(row))
    assert (kept.can_delete_files, file.can_delete_files) == (False, True)
    assert not kept.can_delete(A)
    defaults = [row(file=name).file for name in "abc"]
    assert [file.can_delete(each) for each in defaults] == [False, False, True]


VALUES = {
    "None": (None, []),
    "a file": (A, [A]),
    "content": (CONTENT, [CONTENT]),
    "a list": ([A, CONTENT, A], [A, CONTENT, A]),
    "arrays": ([[A], [B, None]], [A, B]),
    "something else": ("mem:a", []),
}


@pytest.mark.parametrize(("value", "files"), VALUES.values(), ids=VALUES)
def test_the_files_in_a_value(value, files):
    assert list(iterate_files(value)) == files
    assert has_pending_content(value) is (CONTENT in files)
    assert stored_files_in(value) == list(dict.fromkeys(each for each in files if each is not CONTENT))


def test_files_are_replaced_by_their_identity():
    value = [A, [B, StoredFile("mem:a")]]
    assert replace_files(value, {id(A): CONTENT}) == [CONTENT, [B, A]]
    assert replace_files(A, {}) is A
