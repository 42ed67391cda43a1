"""The operators of file columns, as SQL; their results are in tests/integration/sqlalchemy/test_expressions.py."""

import pytest
from sqlalchemy import Column, cast, literal, select
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite
from sqlalchemy.exc import UnsupportedCompilationError

from async_storages import StoredFile
from async_storages.integrations.sqlalchemy import FileListType, FileType
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from tests.support.documents import Document, row_class

FILE = Document.__table__.c.file
PAGES = row_class(pages=Column(FileListType("documents"))).__table__.c.pages

each_dialect = pytest.mark.parametrize(
    "dialect", [each.dialect() for each in (sqlite, postgresql, mysql, mssql, oracle)], ids=lambda dialect: dialect.name
)


@each_dialect
@pytest.mark.parametrize(
    ("expression", "sql"),
    [
        (FILE == "it's.txt", "= {n}'mem:it''s.txt'"),
        (FILE.in_(["a", StoredFile("mem:b")]), "IN ({n}'mem:a', {n}'mem:b')"),
        (FILE.like("it's%"), "LIKE {n}'it''s%"),
        (select(literal("a", FileType("documents"))), "SELECT {n}'mem:a'"),
        (FILE.is_(None), "IS NULL"),
    ],
    ids=["equals", "in", "like", "literal", "is None"],
)
def test_literals_are_ids_and_patterns_are_as_written(dialect, expression, sql):
    compiled = expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    assert sql.format(n="N" if dialect.name == "mssql" else "") in str(compiled)


@each_dialect
def test_a_cast_to_a_file_compiles(dialect):
    assert "CAST(documents.title AS " in str(cast(Document.title, FileType("documents")).compile(dialect=dialect))


def test_a_list_is_searched_by_containment_or_by_its_items():
    holds = PAGES.contains("a")
    assert "@> jsonb_build_array(" in str(holds.compile(dialect=postgresql.dialect()))
    assert "json_each(" in str(holds.compile(dialect=sqlite.dialect()))
    assert "JSON_TABLE(" in str(holds.compile(dialect=mysql.dialect()))


def test_lists_are_equal_by_their_ids():
    equal = PAGES == ["a"]
    assert "jsonb_typeof(" in str(equal.compile(dialect=postgresql.dialect()))
    assert "json_remove(" in str(equal.compile(dialect=sqlite.dialect()))
    assert "JSON_REMOVE(" in str(equal.compile(dialect=mysql.dialect()))
    assert "pages = :pages_1" in str(equal.compile(dialect=oracle.dialect()))
    assert str((~equal).compile(dialect=postgresql.dialect())).count("jsonb_typeof(") == 2
    assert str((PAGES != None).compile(dialect=postgresql.dialect())).endswith("IS NOT NULL")  # noqa: E711 - SQL


def test_a_column_of_lists_is_found_in_dictionaries():
    annotated = PAGES._annotate({"of": "a query"})
    assert {PAGES: 1}[annotated] == 1
    assert {PAGES, annotated, FILE} == {PAGES, FILE}


def test_contains_needs_a_database_that_it_knows():
    with pytest.raises(UnsupportedCompilationError):
        PAGES.contains("a").compile(dialect=mssql.dialect())


def test_what_is_sql():
    assert all(map(is_sql, (FILE, Document.file, literal(1), select(FILE))))
    assert not any(map(is_sql, (None, "mem:a", StoredFile("mem:a"))))
