"""From a template to a database and back: init, revision --autogenerate, upgrade, check, downgrade."""

import pytest
from sqlalchemy import ARRAY, Column, Index, Integer, MetaData, String, Table, UniqueConstraint
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.exc import OperationalError

from async_storages.integrations.sqlalchemy import FileListType, FileType, ImageType, add_ledger_tables
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.documents import FixedType

FILES = "async_storages.integrations.sqlalchemy"
EXACT = ".with_variant(mysql.VARCHAR(charset='utf8mb4', collation='utf8mb4_bin', length={}), 'mysql')"


def tables(*columns):
    return Table("documents", MetaData(), Column("id", Integer, primary_key=True), *columns).metadata


def before(database_url):
    arrays = [Column("pages", postgresql.ARRAY(FileType()))] if database_url.startswith("postgresql") else []
    return tables(
        Column("file", FileType()),
        Column("photo", ImageType(length=200)),
        Column("title", String(50)),
        Column("key", String(1024)),
        Column("portable", FileType().with_variant(mysql.VARCHAR(768), "mysql")),
        Column("attachments", FileListType()),
        *arrays,
    )


def after(database_url):
    is_postgresql = database_url.startswith("postgresql")
    arrays = [Column("pages", postgresql.ARRAY(ImageType())), Column("more", ARRAY(FileType(length=99)))]
    return tables(
        Column("file", FileType(length=2048), nullable=False),
        Column("photo", FixedType(length=200)),
        Column("title", FileType()),
        Column("key", FileType()),
        Column("portable", ImageType().with_variant(mysql.VARCHAR(768), "mysql")),
        Column("attachments", FileListType()),
        *(arrays if is_postgresql else []),
    )


@pytest.mark.parametrize("rendering", ["plain", "class"])
@pytest.mark.parametrize("template", ["generic", "async", "pyproject"])
def test_project_goes_forth_and_back(project, database_url, template, rendering):
    first, second = before(database_url), after(database_url)
    project = project(template, first, "" if rendering == "plain" else "async_storages_render='class'")

    made = project.migrate()
    project.execute("INSERT INTO documents (id, file) VALUES (1, 'mem:a.txt')")
    project.metadata = second
    changed = project.migrate()

    assert (f"import {FILES}\n" in made) is (rendering == "class")
    type_ = "sa.Unicode" if rendering == "plain" else f"{FILES}.FileType"
    is_exact = rendering == "plain" and database_url.startswith("mysql")
    assert f"sa.Column('file', {type_}(length=1024){EXACT.format(1024) if is_exact else ''}, nullable=True)" in made
    assert f"type_={type_}(length=2048){EXACT.format(2048) if is_exact else ''}" in changed
    assert "nullable=False" in changed
    assert f"type_={type_}(length=1024)" in changed  # the title
    for same in ("'photo'", "'key'", "'portable'", "'pages'", "'attachments'"):
        assert same not in changed
    assert project.execute("SELECT file FROM documents") == [("mem:a.txt",)]

    project.run("downgrade", "-1")
    project.metadata = first
    assert project.differences() == []
    project.run("downgrade", "base")
    assert project.tables() == set()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_arrays_and_lists_are_what_postgresql_has(project, database_url):
    text = project("async", after(database_url)).migrate()

    assert "sa.Column('pages', postgresql.ARRAY(sa.Unicode(length=1024)), nullable=True)" in text
    assert "sa.Column('more', sa.ARRAY(sa.Unicode(length=99)), nullable=True)" in text
    assert "JSONB(none_as_null=True, astext_type=sa.Text())" in text


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("template", ["generic", "async", "pyproject"])
def test_sql_can_be_printed_instead_of_run(project, database_url, template):
    project = project(template, after(database_url))
    project.generate()

    assert "file VARCHAR(2048) NOT NULL" in project.sql()
    assert project.tables() == set()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_migration_made_on_sqlite_says_what_postgresql_needs(project, database_url):
    text = project("async", after(database_url)).migrate()

    assert "from sqlalchemy import Text\n" in text
    assert ".with_variant(postgresql.JSONB(none_as_null=True, astext_type=Text()), 'postgresql')" in text


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
@pytest.mark.parametrize("rendering", ["plain", "class"])
@pytest.mark.parametrize(
    ("part", "key"),
    [
        (lambda: Index("ix_documents_file", "file", mysql_length=255), "KEY `ix_documents_file` (`file`(255))"),
        (lambda: Index("ix_documents_file", "file"), "KEY `ix_documents_file` (`file`(768))"),
        (lambda: Index("ix_documents_short", "short"), "KEY `ix_documents_short` (`short`)"),
        (lambda: UniqueConstraint("short", name="uq_short"), "UNIQUE KEY `uq_short` (`short`)"),
        (lambda: UniqueConstraint("file", name="uq_file"), "UNIQUE KEY `uq_file` (`file`) USING HASH"),
    ],
    ids=["a prefix", "one that MariaDB cuts", "short", "unique", "unique by a hash"],
)
def test_an_index_on_mariadb(project, part, key, rendering):
    """No difference is left; and a migration later it goes, and comes again."""

    def documents(*parts):
        return tables(Column("file", FileType()), Column("short", FileType(length=768), nullable=False), *parts)

    project = project("async", documents(part()), "" if rendering == "plain" else "async_storages_render='class'")
    project.migrate()
    assert key in made_by(project)
    project.metadata = documents()
    project.migrate()
    assert key not in made_by(project)
    project.run("downgrade", "-1")
    assert key in made_by(project)
    project.run("downgrade", "base")
    assert project.tables() == set()


def made_by(project):
    [[_, statement]] = project.execute("SHOW CREATE TABLE documents")
    return statement


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_a_primary_key_on_mariadb(project):
    project = project(
        "async", Table("documents", MetaData(), Column("file", FileType(length=768), primary_key=True)).metadata
    )
    project.migrate()
    assert "PRIMARY KEY (`file`)" in made_by(project)


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_a_whole_column_has_no_room_in_a_primary_key_of_mariadb(project):
    project = project("async", Table("documents", MetaData(), Column("file", FileType(), primary_key=True)).metadata)
    with pytest.raises(OperationalError, match="max key length is 3072 bytes"):
        project.migrate()


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_names_of_the_applications_own_on_mariadb(project):
    convention = {"ix": "ix__%(table_name)s__%(column_0_name)s", "uq": "uq__%(table_name)s__%(column_0_name)s"}
    metadata = MetaData(naming_convention=convention)
    columns = [Column("file", FileType(length=255), index=True), Column("cover", ImageType(length=255), unique=True)]
    Table("documents", metadata, Column("id", Integer, primary_key=True), *columns)
    add_ledger_tables(metadata, "kept_files")
    project = project("async", metadata)

    text = project.migrate()

    assert "op.f('ix__documents__file')" in text
    assert "op.f('uq__documents__cover')" in text
    made = made_by(project)
    assert "  KEY `ix__documents__file` (`file`)" in made
    assert "UNIQUE KEY `uq__documents__cover` (`cover`)" in made
    project.run("downgrade", "base")
    assert project.tables() == set()
