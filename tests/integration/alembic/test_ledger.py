"""The ledger's tables in migrations."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from async_storages.integrations.sqlalchemy import FileType, add_ledger_tables
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`

TABLES = {"stored_files", "stored_files_journal", "stored_files_columns"}
CLASS = "async_storages_render='class'"


def documents(*names):
    metadata = MetaData()
    Table("documents", metadata, Column("id", Integer, primary_key=True), Column("file", FileType()))
    for name in names:
        add_ledger_tables(metadata, name)
    return metadata


@pytest.mark.parametrize(
    ("configure", "made", "dropped"),
    [
        ("", "op.create_table('stored_files_journal'", "op.drop_table('stored_files_journal'"),
        (CLASS, "op.create_file_ledger()\n", "op.drop_file_ledger()\n"),
    ],
    ids=["plain", "class"],
)
@pytest.mark.parametrize("template", ["generic", "async"])
def test_ledger_comes_and_goes_with_the_metadata(project, template, configure, made, dropped):
    with_ledger = documents("stored_files")
    project = project(template, with_ledger, configure)

    coming = project.migrate()
    assert project.tables() == {"documents"} | TABLES
    project.metadata = documents()
    going = project.migrate()
    assert project.tables() == {"documents"}

    assert coming.count(made) == coming.count(dropped) == going.count(made) == going.count(dropped) == 1
    assert ("stored_files" in coming + going) is (configure == "")
    project.run("downgrade", "-1")
    project.metadata = with_ledger
    assert project.differences() == []
    project.run("downgrade", "base")
    assert project.tables() == set()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_operations_print_their_sql(project):
    project = project("generic", documents("stored_files"), CLASS)
    project.generate()

    sql = project.sql()

    assert "CREATE TABLE stored_files_journal (" in sql
    assert "CREATE INDEX ix_stored_files_state_until ON stored_files (state, until)" in sql


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_ledgers_with_names_and_schemas_of_their_own(project):
    metadata = documents("stored_files", "kept")
    add_ledger_tables(in_schema := MetaData(schema="files"))
    project = project("generic", [metadata, in_schema], f"{CLASS}, include_schemas=True")
    project.execute("CREATE SCHEMA files")

    text = project.migrate()

    for arguments in ("", "'kept'", "schema='files'"):
        assert f"op.create_file_ledger({arguments})\n" in text
        assert f"op.drop_file_ledger({arguments})\n" in text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_tables_that_only_have_the_names_are_left_alone(project):
    metadata = documents()
    for name in TABLES:
        Table(name, metadata, Column("id", Integer, primary_key=True))

    assert project("generic", metadata, CLASS).migrate().count("op.create_table(") == 4


def test_a_ledger_of_an_older_version_gets_what_it_lacks(project):
    """Also where all migrations are run anew, of which the first then makes all."""
    project = project("generic", documents("stored_files"), CLASS)
    project.migrate()
    project.execute("DROP TABLE stored_files_columns")

    text = project.migrate()

    assert "op.create_table('stored_files_columns'" in text
    assert "if_not_exists=True" in text
    assert project.differences() == []
    project.run("downgrade", "-1")
    assert project.tables() == {"documents"} | TABLES - {"stored_files_columns"}
    project.run("downgrade", "base")
    assert project.tables() == set()
    project.run("upgrade", "head")
    assert project.tables() == {"documents"} | TABLES


def test_the_operation_adds_what_an_older_ledger_lacks(project):
    project = project("generic", documents("stored_files"), CLASS)
    project.migrate()
    project.execute("DROP TABLE stored_files_columns")

    project.write("op.create_file_ledger()")
    project.run("upgrade", "head")

    assert project.tables() == {"documents"} | TABLES


def test_columns_are_forgotten(project):
    project = project("generic", documents("stored_files"), CLASS)
    project.migrate()
    project.execute(
        "INSERT INTO stored_files_columns VALUES ('a', 'x', 0), ('a', 'y', 0), ('b', 'x', 0), ('b', 'y', 0)"
    )

    project.write("op.forget_file_columns('a')", "op.forget_file_columns('b', 'x')")
    project.run("upgrade", "head")

    assert project.execute("SELECT column_name FROM stored_files_columns WHERE table_name = 'b'") in [
        [("y",)],
        [(b"y",)],
    ]
    assert project.execute("SELECT count(*) FROM stored_files_columns") == [(1,)]
