"""`op.normalise_file_ids` in migrations."""

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, MetaData, String, Table

from async_storages import InvalidArgumentException
from async_storages.integrations.sqlalchemy import FileType
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`

CALL = 'op.normalise_file_ids("documents", "file", "documents")'


def table(type_):
    return Table("documents", MetaData(), Column("id", Integer, primary_key=True), Column("file", type_)).metadata


@pytest.fixture
def documents(project, storage):
    """A project with one bare key and one id in a column of strings."""

    def make(template):
        made = project(template, table(String(40)))
        made.migrate()
        made.execute("INSERT INTO documents (id, file) VALUES (1, 'old/a.txt'), (2, 'mem:new/b.txt')")
        return made

    return make


@pytest.mark.parametrize("template", ["generic", "async"])
def test_column_of_strings_becomes_a_column_of_files_with_full_ids(documents, template):
    project = documents(template)
    project.metadata = table(FileType("documents"))
    path = project.generate()
    path.write_text(path.read_text().replace("commands ###\n\n\ndef downgrade", f"\n    {CALL}\n\n\ndef downgrade"))

    project.run("upgrade", "head")

    assert project.execute("SELECT file FROM documents ORDER BY id") == [("mem:old/a.txt",), ("mem:new/b.txt",)]
    project.run("check")


@pytest.fixture
def operations(documents):
    with documents("generic").connection() as connection:
        yield Operations(MigrationContext.configure(connection))


def test_it_tells_how_many_keys_it_rewrote_and_again_changes_nothing(operations, storage):
    assert operations.normalise_file_ids("documents", "file", storage) == 1
    assert operations.normalise_file_ids("documents", "file", storage) == 0


@pytest.mark.parametrize(
    ("column", "storage_name", "message"),
    [
        ("files", "documents", "'documents' has no column 'files'"),
        ("file", "archive", "no storage is registered as 'archive'"),
    ],
)
def test_what_does_not_exist_is_said(operations, column, storage_name, message):
    with pytest.raises(InvalidArgumentException, match=message):
        operations.normalise_file_ids("documents", column, storage_name)


def test_an_id_that_is_too_long_for_the_column_is_refused(operations, storage):
    operations.execute(f"INSERT INTO documents (id, file) VALUES (3, '{'x' * 40}')")

    with pytest.raises(InvalidArgumentException, match="44 characters, the column has 40"):
        operations.normalise_file_ids("documents", "file", storage)


def test_printed_as_sql_it_is_a_comment(documents):
    project = documents("generic")
    path = project.run("revision", "by hand").path
    project.edit(path, "pass", CALL)

    assert "-- normalise_file_ids('documents', 'file')" in project.sql()
