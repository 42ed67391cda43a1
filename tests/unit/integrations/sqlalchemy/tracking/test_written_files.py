"""The files that statements write, read from the statements themselves."""

import pytest
from sqlalchemy import bindparam, delete, func, insert, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from async_storages import InvalidArgumentException, PendingFile
from async_storages.integrations.sqlalchemy.tracking.written_files import (
    explain_unknown_files,
    fields_by_name,
    has_writing_cte,
    written_files,
)
from tests.support.documents import Document, Folder
from tests.support.tracked import Album

TABLE = Document.__table__


def names(statement, *parameters):
    return [(field.key, stored.file_id) for field, stored in written_files(statement, parameters)]


IN_ORDER = update(TABLE).ordered_values((TABLE.c.copy, "b"), (TABLE.c.file, "a"))
WRITTEN = {
    "values": (insert(TABLE).values(file="a"), (), [("file", "mem:a")]),
    "several rows": (insert(TABLE).values([{"file": "a"}, {"file": "b"}]), (), [("file", "mem:a"), ("file", "mem:b")]),
    "parameters": (insert(TABLE), ({"file": "a"}, {"copy": "b"}), [("file", "mem:a"), ("copy", "mem:b")]),
    "a named parameter": (update(TABLE).values(file=bindparam("new")), ({"new": "a"},), [("file", "mem:a")]),
    "of a class": (update(Document).values({Document.file: "a"}), (), [("file", "mem:a")]),
    "in order": (IN_ORDER, (), [("copy", "mem:b"), ("file", "mem:a")]),
    "a list": (insert(Album).values(pages=["a", "b"]), (), [("pages", "mem:a"), ("pages", "mem:b")]),
    "None": (update(TABLE).values(file=None), (), []),
    "NULL": (update(TABLE).values(file=null()), (), []),
    "its own value": (update(TABLE).values(file=TABLE.c.file), (), []),
    "another column": (update(TABLE).values(title="a"), (), []),
    "another table": (insert(Folder), ({"id": 1},), []),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "parameters", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_written_files(statement, parameters, expected):
    assert names(statement, *parameters) == expected


@pytest.mark.parametrize("dialect", [postgresql, sqlite], ids=["postgresql", "sqlite"])
def test_files_for_rows_in_conflict(dialect):
    chosen = dialect.insert(TABLE).values(file="a")
    assert names(chosen.on_conflict_do_update(index_elements=["id"], set_={"file": "b"})) == [
        ("file", "mem:a"),
        ("file", "mem:b"),
    ]
    assert names(chosen.on_conflict_do_update(index_elements=["id"], set_={"file": chosen.excluded.file})) == [
        ("file", "mem:a")
    ]


def test_content_is_refused():
    with pytest.raises(InvalidArgumentException, match="not given to a statement"):
        names(insert(TABLE).values(file=PendingFile(b"content", filename="a")))


UNKNOWN = {
    "a SELECT": (insert(TABLE).from_select(["file"], select(TABLE.c.copy)), "filled by a SELECT"),
    "an expression": (update(TABLE).values(file=func.lower("A")), "an SQL expression"),
    "another column": (update(TABLE).values(file=TABLE.c.copy), "an SQL expression"),
}


@pytest.mark.parametrize(("statement", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_files_are_explained(statement, reason):
    assert reason in explain_unknown_files(statement, ())


@pytest.mark.parametrize(
    "statement",
    [update(TABLE).values(file="a"), insert(TABLE).from_select(["title"], select(TABLE.c.title)), insert(Folder)],
    ids=["an id", "a SELECT for another column", "another table"],
)
def test_nothing_is_explained_for(statement):
    assert explain_unknown_files(statement, ()) is None


def test_names_are_those_of_columns_and_of_attributes():
    assert fields_by_name(insert(TABLE)).keys() == fields_by_name(insert(Document)).keys() == {"file", "copy", "photo"}
    assert fields_by_name(insert(Folder)) == fields_by_name(select(TABLE)) == {}


def test_a_with_clause_that_writes_files():
    inner = update(TABLE).values(file="a").returning(TABLE.c.id).cte()
    assert has_writing_cte(select(inner).compile(dialect=postgresql.dialect()))
    inner = delete(TABLE).returning(TABLE.c.id).cte()
    assert not has_writing_cte(select(inner).compile(dialect=postgresql.dialect()))
