"""From a template to a database and back: init, revision --autogenerate, upgrade, check, downgrade."""

import pytest
from sqlalchemy import ARRAY, Column, Integer, MetaData, String, Table
from sqlalchemy.dialects import mysql, postgresql

from async_storages.integrations.sqlalchemy import FileListType, FileType, ImageType
from tests.support.documents import FixedType

FILES = "async_storages.integrations.sqlalchemy"


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
    assert f"sa.Column('file', {type_}(length=1024), nullable=True)" in made
    assert f"type_={type_}(length=2048)" in changed
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
