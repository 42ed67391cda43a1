"""Queries over file columns: ids are compared with ids, everything else sees a string."""

import pytest
from sqlalchemy import String, bindparam, case, func, literal, null, or_, select, tuple_, type_coerce, union_all
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import aliased

from async_storages import FileAttach, FileId, StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileType
from tests.support.documents import Document, Folder

file, copied, number = Document.file, Document.copy, Document.id
TABLE = Document.__table__
A, B, NONE, ODD = 1, 2, 3, 4


@pytest.fixture(autouse=True)
async def rows(session):
    session.add_all(
        [
            Document(id=A, title="in/A.txt", file="in/A.txt", copy="in/A.txt", photo="in/A.txt"),
            Document(id=B, title="in/b.txt", file="in/b.txt"),
            Document(id=NONE),
            Document(id=ODD, file="50%_'off'.txt"),
        ]
    )
    await session.commit()


CONDITIONS = {
    "== bare key": (file == "in/A.txt", [A]),
    "== fusion id": (file == "mem:in/A.txt", [A]),
    "== StoredFile": (file == StoredFile("mem:in/A.txt"), [A]),
    "== StoredImage": (file == StoredImage("mem:in/A.txt"), [A]),
    "== FileAttach": (file == FileAttach(file_id="mem:in/A.txt", file_name="A.txt"), [A]),
    "== FileId": (file == FileId("mem", None, "in/A.txt"), [A]),
    "== with quotes": (file == "50%_'off'.txt", [ODD]),
    "the key before ==": ("in/A.txt" == file, [A]),  # noqa: SIM300
    "== tells case apart": (file == "in/a.txt", []),
    "!=": (file != "in/A.txt", [B, ODD]),
    "== None": (file == None, [NONE]),  # noqa: E711
    "is_(None)": (file.is_(None), [NONE]),
    "is_not(None)": (file.is_not(None), [A, B, ODD]),
    "is_distinct_from": (file.is_distinct_from("in/A.txt"), [B, NONE, ODD]),
    "is_not_distinct_from": (file.is_not_distinct_from("in/A.txt"), [A]),
    "in_": (file.in_(["in/A.txt", StoredFile("mem:in/b.txt"), "none.txt"]), [A, B]),
    "in_ nothing": (file.in_([]), []),
    "in_ values and SQL": (file.in_(["mem:in/b.txt", "none.txt", TABLE.c.copy]), [A, B]),
    "in_ a subquery": (file.in_(select(copied)), [A]),
    "not_in": (file.not_in(["in/A.txt", "mem:in/b.txt"]), [ODD]),
    "in_ of tuples": (tuple_(number, file).in_([(A, "in/A.txt"), (B, "in/A.txt")]), [A]),
    "between": (file.between("in/A.txt", "in/a.txt"), [A]),
    "not between": (~file.between("in/A.txt", "in/a.txt"), [B, ODD]),
    "< and >": ((file > "in/A.txt") & (file < StoredFile("mem:zoo")), [B]),
    "== another file column": (file == copied, [A]),
    "== a string column": (file == "mem:" + Document.title, [A, B]),
    "== a subquery": (file == select(func.max(copied)).scalar_subquery(), [A]),
    "like": (file.like("mem:in/%"), [A, B]),
    "like a bare key": (file.like("in/%"), []),
    "not_like": (file.not_like("mem:in/%"), [ODD]),
    "ilike": (file.ilike("MEM:IN/a%"), [A]),
    "startswith": (file.startswith("mem:in/"), [A, B]),
    "startswith, autoescape": (file.startswith("mem:50%_", autoescape=True), [ODD]),
    "istartswith": (file.istartswith("MEM:in/a"), [A]),
    "endswith": (file.endswith("/b.txt"), [B]),
    "contains": (file.contains("'off'"), [ODD]),
    "icontains": (file.icontains("/B."), [B]),
    "regexp_match": (file.regexp_match("^mem:in/[A-Z]"), [A]),
    "like a StoredFile's text": (file.like(str(StoredFile("mem:in/b.txt"))), [B]),
    "lower": (func.lower(file) == "mem:in/a.txt", [A]),
    "length": (func.length(file) == len("mem:in/A.txt"), [A, B]),
    "a parameter": (file == bindparam("key"), [A]),
    "a typed literal": (literal("in/A.txt", FileType("documents")) == file, [A]),
    "as a string": (type_coerce(file, String) == "mem:in/A.txt", [A]),
    "or_": (or_(file == "in/A.txt", file.endswith("b.txt")), [A, B]),
    "case": (case((file == "in/A.txt", 1), else_=0) == 1, [A]),
    "case of a value": (case({"mem:in/A.txt": 1}, value=file, else_=0) == 1, [A]),
    "an image column": (Document.photo == StoredFile("mem:in/A.txt"), [A]),
}


@pytest.mark.parametrize(("condition", "ids"), CONDITIONS.values(), ids=CONDITIONS.keys())
async def test_where(session, condition, ids):
    statement = select(number).where(condition).order_by(number)
    assert (await session.scalars(statement, {"key": "in/A.txt"})).all() == ids


@pytest.mark.parametrize("value", ["in/A.txt", 7, None], ids=repr)
def test_in_takes_a_collection(value):
    with pytest.raises((ArgumentError, TypeError)):
        file.in_(value)


async def test_order_by_and_distinct(session):
    ordered = select(file).where(file.is_not(None)).order_by(file.desc()).distinct()
    assert [found.name for found in await session.scalars(ordered)] == ["in/b.txt", "in/A.txt", "50%_'off'.txt"]


STORED = StoredFile("mem:in/A.txt")
STRINGS = {
    "+ str": (file + ".bak", "mem:in/A.txt.bak"),
    "str +": ("copy of " + file, "copy of mem:in/A.txt"),
    "str + a table's column": ("copy of " + TABLE.c.file, "copy of mem:in/A.txt"),
    "+ str + str": (file + "." + "bak", "mem:in/A.txt.bak"),
    "+ a string column": (file + Document.title, "mem:in/A.txtin/A.txt"),
    "a string column +": (Document.title + file, "in/A.txtmem:in/A.txt"),
    "+ itself": (file + file, "mem:in/A.txtmem:in/A.txt"),
    "concat()": (file.concat(".bak"), "mem:in/A.txt.bak"),
    "lower": (func.lower(file), "mem:in/a.txt"),
    "substr": (func.substr(file, 1, 4), "mem:"),
    "replace": (func.replace(file, "in/", "out/"), "mem:out/A.txt"),
    "as a string": (type_coerce(file, String), "mem:in/A.txt"),
}
FILES = {
    "the column": (file, STORED),
    "a label": (file.label("other"), STORED),
    "max": (func.max(file), STORED),
    "min": (func.min(file), STORED),
    "coalesce": (func.coalesce(file, "none.png"), STORED),
    "case": (case((file == "in/A.txt", file), else_=null()), STORED),
    "a scalar subquery": (select(file).where(number == A).scalar_subquery(), STORED),
    "a literal": (literal("in/A.txt", FileType("documents")), STORED),
    "a string as a file": (type_coerce(Document.title, FileType("documents")), StoredFile("in/A.txt")),
}


@pytest.mark.parametrize(("expression", "value"), STRINGS.values(), ids=STRINGS.keys())
async def test_what_is_made_of_an_id_is_a_string(session, expression, value):
    found = await session.scalar(select(expression).where(number == A))
    assert (type(found), found) == (str, value)


@pytest.mark.parametrize(("expression", "value"), FILES.values(), ids=FILES.keys())
async def test_what_is_an_id_is_a_file(session, storage, expression, value):
    found = await session.scalar(select(expression).where(number == A))
    assert (type(found), found, found.storage) == (StoredFile, value, storage)


async def test_count(session):
    assert await session.scalar(select(func.count(file))) == 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_concat_of_postgresql_is_a_string(session):
    assert await session.scalar(select(func.concat(file, ".bak")).where(number == A)) == "mem:in/A.txt.bak"


OTHER = aliased(Document)
ALIAS = TABLE.alias("other")
SUBQUERY = select(file, number).where(number == A).subquery()
CTE = select(file, number).where(number == A).cte()
FROM_SUBQUERY = aliased(Document, select(Document).where(number == A).subquery())
SOURCES = {
    "an alias": select(OTHER.file).where(OTHER.file == "in/A.txt"),
    "an aliased table": select(ALIAS.c.file).where(ALIAS.c.id == A),
    "a subquery": select(SUBQUERY.c.file).where(SUBQUERY.c.file == "in/A.txt"),
    "a class from a subquery": select(FROM_SUBQUERY.file),
    "a CTE": select(CTE.c.file).where(CTE.c.file == "in/A.txt"),
    "a union": union_all(select(file).where(number == A), select(copied).where(number == B)),
    "a join": select(file).join(Folder, isouter=True).where(file == "in/A.txt"),
}


@pytest.mark.parametrize("statement", SOURCES.values(), ids=SOURCES.keys())
async def test_wherever_it_is_selected_from_it_is_a_file(session, storage, statement):
    found = (await session.scalars(statement)).first()
    assert (type(found), found, found.storage) == (StoredFile, STORED, storage)
