"""JSON lists of file ids: JSONB on PostgreSQL."""

import pytest
from sqlalchemy import JSON, Column, Index, literal, null, or_, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from async_storages import InvalidArgumentException, StoredFile, registry
from async_storages.integrations.sqlalchemy import FileListType, FileType, normalise_file_ids
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.documents import row_class

ODD = 'it\'s "odd" 😀 100%.txt'

Album = row_class(
    files=Column(FileListType("documents")),
    cover=Column(FileType("documents")),
    __table_args__=(Index("ix_rows_files", "files", postgresql_using="gin", mysql_length=255),),
)
A, B = StoredFile("mem:a.txt"), StoredFile("mem:b.txt")


LISTS = {1: ["mem:a.txt", "mem:b.txt", "mem:a.txt"], 2: ["mem:b.txt", f"mem:{ODD}"], 3: [], 4: None}
FACTS = {1: {"mem:b.txt": {"size": 7, "filename": "mem:c.txt"}, "mem:c.txt": {}}, 2: {f"mem:{ODD}": {"size": 1}}, 3: {}}
"""Also of a file that another program has taken out of the list."""


@pytest.fixture(params=["ids", "facts"])
def form(request):
    """The JSON of the rows: ids alone, or with facts after them."""
    return request.param


@pytest.fixture
async def session(engine, create, form):
    await create(Album)
    async with AsyncSession(engine) as session:
        session.add_all(
            [
                Album(id=1, files=["a.txt", "b.txt", "a.txt"], cover="b.txt"),
                Album(id=2, files=["b.txt", ODD], cover="c.txt"),
                Album(id=3, files=[], cover="a.txt"),
                Album(id=4, files=None),
            ]
        )
        for id_, facts in FACTS.items() if form == "facts" else ():
            written = literal([*LISTS[id_], facts], JSON().with_variant(JSONB(), "postgresql"))
            await session.execute(update(Album).where(Album.id == id_).values(files=written))
        await session.commit()
        session.expunge_all()
        yield session


async def test_ids_are_stored_and_files_loaded(session, storage, form):
    raw = (await session.scalars(select(type_coerce(Album.files, JSON)).order_by(Album.id))).all()
    if form == "ids":
        assert raw == [*LISTS.values()]
    else:
        assert raw == [[*LISTS[id_], facts] for id_, facts in FACTS.items()] + [None]
    files = (await session.scalars(select(Album.files).order_by(Album.id))).all()
    assert [each and [str(file) for file in each] for each in files] == [*LISTS.values()]
    assert [files[1][1].known_size, files[0][1].known_size] == ([None, None] if form == "ids" else [1, 7])
    album = await session.get(Album, 1)
    assert album.files == [A, B, A]
    assert album.files[0].storage is storage


WHERE = {
    "contains a bare key": (Album.files.contains("a.txt"), [1]),
    "contains a file": (Album.files.contains(B), [1, 2]),
    "contains an odd name": (Album.files.contains(ODD), [2]),
    "contains what is nowhere": (Album.files.contains("c.txt"), []),
    "contains a part of a name": (Album.files.contains("a"), []),
    "contains None": (Album.files.contains(None), []),
    "contains another column's": (Album.files.contains(Album.cover), [1]),
    "contains not": (~Album.files.contains("a.txt"), [2, 3]),
    "contains one or the other": (or_(Album.files.contains("a.txt"), Album.files.contains(ODD)), [1, 2]),
    "equals": (Album.files == ["a.txt", B, "mem:a.txt"], [1]),
    "equals in another order": (Album.files == ["b.txt", "a.txt", "a.txt"], []),
    "equals a parameter": (literal(["b.txt", ODD], FileListType("documents")) == Album.files, [2]),
    "is empty": (Album.files == [], [3]),
    "is not": (Album.files != ["a.txt", "b.txt", "a.txt"], [2, 3]),
    "is distinct from": (Album.files.is_distinct_from([]), [1, 2, 4]),
    "is None": (Album.files == None, [4]),  # noqa: E711 - SQL
    "is NULL": (Album.files.is_(null()), [4]),
    "is not None": (Album.files.is_not(None), [1, 2, 3]),
    "an item": (Album.files[0].as_string() == "mem:b.txt", [2]),
}


@pytest.mark.parametrize(("condition", "found"), WHERE.values(), ids=WHERE.keys())
async def test_where(session, condition, found):
    assert (await session.scalars(select(Album.id).where(condition).order_by(Album.id))).all() == found


async def test_an_item_is_what_json_holds(session):
    assert await session.scalar(select(Album.files[1]).where(Album.id == 1)) == "mem:b.txt"


async def test_rows_that_share_files(session):
    other = aliased(Album)
    pairs = select(Album.id, other.id).join(other, other.files.contains(Album.cover)).order_by(Album.id, other.id)
    assert (await session.execute(pairs)).all() == [(1, 1), (1, 2), (3, 1)]


async def test_rows_that_have_the_same_files(session, form):
    session.add(Album(id=5, files=["a.txt", "b.txt", "a.txt"]))
    await session.flush()
    other = aliased(Album)
    pairs = select(Album.id, other.id).join(other, (other.files == Album.files) & (other.id > Album.id))
    assert (await session.execute(pairs)).all() == [(1, 5)]
    statement = update(Album).where(Album.files == ["a.txt", "b.txt", "a.txt"]).values(cover="d.txt")
    row = await session.get(Album, 1)
    await session.execute(statement, execution_options={"synchronize_session": "evaluate"})
    assert str(row.cover) == "mem:d.txt"


async def test_a_statement_looks_for_the_storage_when_it_runs(session, archive):
    """And is cached apart from its value."""
    with registry.override("documents", archive):
        condition = Album.files.contains("a.txt")
    assert (await session.scalars(select(Album.id).where(condition))).all() == [1]
    assert (await session.scalars(select(Album.id).where(Album.files.contains(ODD)))).all() == [2]


async def test_lists_are_not_rewritten_as_keys(session, storage):
    connection = await session.connection()
    with pytest.raises(InvalidArgumentException, match="lists"):
        await connection.run_sync(normalise_file_ids, Album.__table__.c.files, storage)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_index_serves_containment(session, engine):
    statement = select(Album.id).where(Album.files.contains("a.txt"))
    sql = str(statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))
    connection = await session.connection()
    await connection.exec_driver_sql("SET enable_seqscan = off")
    plan = (await connection.exec_driver_sql(f"EXPLAIN {sql}")).scalars().all()
    assert [line for line in plan if "Bitmap Index Scan on ix_rows_files" in line]
