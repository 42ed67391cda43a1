"""The columns that a ledger knows follow the tables, though each pass looks only into those that may change."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from async_storages import MemoryStorage
from async_storages.integrations.sqlalchemy import FileType
from async_storages.integrations.sqlalchemy.ledger.references import References

STORAGE = MemoryStorage()


def names(references):
    return {f"{field.column.table.name}.{field.column.name}" for field in references.fields()}


def test_a_new_table_and_a_new_column_are_seen():
    metadata = MetaData()
    table = Table("a", metadata, Column("id", Integer, primary_key=True), Column("file", FileType(STORAGE)))
    references = References([metadata], [])
    assert names(references) == {"a.file"}
    table.append_column(Column("second", FileType(STORAGE)))
    Table("b", metadata, Column("file", FileType(STORAGE)))
    assert names(references) == {"a.file", "a.second", "b.file"}


def test_a_replaced_column_is_seen():
    metadata = MetaData()
    Table("a", metadata, Column("file", String))
    references = References([metadata], [])
    assert names(references) == set()
    Table("a", metadata, Column("file", FileType(STORAGE)), extend_existing=True)
    assert names(references) == {"a.file"}


def test_a_column_that_gets_its_type_from_another_is_seen():
    metadata = MetaData()
    Table("a", metadata, Column("file", ForeignKey("b.file")))
    references = References([metadata], [])
    assert names(references) == set()
    Table("b", metadata, Column("file", FileType(STORAGE), primary_key=True))
    assert names(references) == {"a.file", "b.file"}
