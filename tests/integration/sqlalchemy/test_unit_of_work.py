"""The unit of work: the values that a session writes, and those that its objects hold before and after."""

import pytest
from sqlalchemy import Column, Integer, String, delete, insert, inspect, literal, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession

from async_storages import FileAttach, FileId, PendingFile, StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import Document, row_class
from tests.support.images import encode

A, B = StoredFile("mem:a.txt"), StoredFile("mem:b.txt")


@pytest.fixture
async def document(session):
    """A loaded row with the file `a.txt`."""
    session.add(Document(id=1, file="a.txt", photo="a.png", photo_width=32))
    await session.commit()
    session.expunge_all()
    return await session.get(Document, 1)


def changes(statements):
    return [statement.split()[0] for statement in statements if not statement.startswith(("SELECT", "PRAGMA"))]


SAME = {
    "itself": A,
    "a bare key": "a.txt",
    "a fusion id": "mem:a.txt",
    "a FileId": FileId("mem", None, "a.txt"),
    "a FileAttach": FileAttach(file_id="mem:a.txt", file_name="a.txt"),
    "an image": StoredImage("mem:a.txt"),
}


@pytest.mark.parametrize("value", SAME.values(), ids=SAME.keys())
async def test_an_equal_id_is_no_change(session, document, statements, value):
    document.file = value
    assert not session.is_modified(document)
    await session.commit()
    assert changes(statements) == []


@pytest.mark.parametrize("value", ["b.txt", None], ids=["another", "None"])
async def test_another_id_is_a_change(session, document, statements, value):
    document.file = value
    history = inspect(document).attrs.file.history
    assert (history.added, history.deleted) == ([B if value else None], [A])
    await session.commit()
    assert changes(statements) == ["UPDATE"]
    await session.refresh(document)
    assert document.file == (B if value else None)


async def test_there_and_back_is_no_change(session, document, statements):
    document.file = "b.txt"
    document.file = "a.txt"
    await session.commit()
    assert changes(statements) == []


async def test_merging_an_unchanged_detached_object_changes_nothing(session, document, statements):
    session.expunge(document)
    merged = await session.merge(document)
    await session.commit()
    await session.refresh(merged)
    assert (merged.file, merged.photo, merged.photo_width) == (A, StoredImage("mem:a.png"), 32)
    assert changes(statements) == []


async def test_merging_a_changed_one_changes_the_row(session, document, storage):
    session.expunge(document)
    document.file = "b.txt"
    document.photo = await storage.save(encode("PNG", (5, 7)), "b.png")
    merged = await session.merge(document)
    assert (merged.file, merged.file.storage, merged.photo_width) == (B, storage, 5)
    assert merged.photo.known_dimensions == (5, 7)


async def test_dimensions_are_merged_whatever_the_order_of_the_columns(engine, create, storage):
    row = row_class(
        before=Column(Integer),
        photo=Column(ImageType("documents", width="before", height="after")),
        after=Column(Integer),
    )
    await create(row)
    async with AsyncSession(engine) as session:
        await session.merge(row(id=1, photo="a.png", before=5, after=7))
        await session.commit()
        await session.merge(row(id=1, photo="a.png", before=5, after=7))
        await session.commit()
        assert (await session.execute(select(row.before, row.after))).one() == (5, 7)


async def test_replacing_an_expired_image_clears_its_dimensions(session, document):
    session.expire(document)
    document.photo = "b.png"
    await session.commit()
    assert (await session.execute(select(Document.photo, Document.photo_width))).one() == (
        StoredImage("mem:b.png"),
        None,
    )


async def test_refresh_discards_what_is_pending(session, document):
    document.file = PendingFile(b"x")
    await session.refresh(document)
    assert document.file == A
    await session.commit()


async def test_expunge_keeps_it(session, document):
    document.file = pending = PendingFile(b"x")
    session.expunge(document)
    await session.commit()
    assert document.file is pending


@pytest.mark.parametrize("how", ["evaluate", "fetch", "auto"])
@pytest.mark.parametrize("value", ["b.txt", B, literal("mem:b.txt")], ids=["a bare key", "a StoredFile", "SQL"])
async def test_a_bulk_update_leaves_files_in_the_sessions_objects(session, document, storage, how, value):
    statement = update(Document).where(Document.file == "a.txt").values(file=value)
    await session.execute(statement, execution_options={"synchronize_session": how})
    if "file" in inspect(document).unloaded:  # SQL is not evaluated but loaded again
        await session.refresh(document, ["file"])
    assert (document.file, document.file.storage) == (B, storage)


EVALUATED = {
    "== a bare key": Document.file == "a.txt",
    "== a fusion id": Document.file == "mem:a.txt",
    "== a StoredFile": Document.file == A,
    "in_": Document.file.in_(["a.txt", "none.txt"]),
    "!=": Document.file != "b.txt",
}
FETCHED = {
    "<": Document.file < "b.txt",
    "between": Document.file.between("a", A),
    "startswith": Document.file.startswith("mem:a"),
    "endswith": Document.file.endswith("a.txt"),
    "like": Document.file.like("%a.txt"),
    "concatenation": Document.file + ".bak" == "mem:a.txt.bak",
}


async def check_that_it_finds_the_sessions_objects(session, document, condition, how):
    other = Document(id=2, file="b.txt", title="kept")
    session.add(other)
    await session.flush()
    options = {"synchronize_session": how}
    await session.execute(update(Document).where(condition).values(title="changed"), execution_options=options)
    assert (document.title, other.title) == ("changed", "kept")
    await session.execute(delete(Document).where(condition), execution_options=options)
    assert inspect(document).was_deleted
    assert other in session


@pytest.mark.parametrize("condition", EVALUATED.values(), ids=EVALUATED.keys())
async def test_bulk_statements_compare_ids_in_python(session, document, condition):
    await check_that_it_finds_the_sessions_objects(session, document, condition, "evaluate")


@pytest.mark.parametrize("how", ["auto", "fetch"])
@pytest.mark.parametrize("condition", [*EVALUATED.values(), *FETCHED.values()], ids=[*EVALUATED, *FETCHED])
async def test_bulk_statements_find_the_sessions_objects(session, document, condition, how):
    await check_that_it_finds_the_sessions_objects(session, document, condition, how)


@pytest.mark.parametrize("condition", FETCHED.values(), ids=FETCHED.keys())
async def test_what_python_cannot_compare_is_refused_not_guessed(session, document, condition):
    statement = update(Document).where(condition).values(title="changed")
    with pytest.raises(InvalidRequestError, match="Could not evaluate current criteria in Python"):
        await session.execute(statement, execution_options={"synchronize_session": "evaluate"})


async def test_a_bulk_update_of_other_columns_leaves_them_too(session, document):
    await session.execute(update(Document).values(title="changed"))
    assert document.file == A


class TestDefaults:
    @pytest.fixture
    async def row(self, create):
        row = row_class(
            title=Column(String),
            plain=Column(FileType("documents"), default="default.txt"),
            called=Column(FileType("documents"), default=lambda: StoredFile("mem:called.txt")),
            sql=Column(FileType("documents"), default=literal("mem:sql.txt")),
            served=Column(FileType("documents"), server_default="mem:served.txt"),
            updated=Column(FileType("documents"), onupdate="updated.txt"),
        )
        await create(row)
        return row

    async def test_they_are_files_after_the_flush(self, engine, row, storage):
        async with AsyncSession(engine) as session:
            session.add(instance := row())
            await session.flush()
            await session.refresh(instance, ["sql", "served"])
            names = ("plain", "called", "sql", "served")
            assert [str(getattr(instance, name)) for name in names] == [
                "mem:default.txt",
                "mem:called.txt",
                "mem:sql.txt",
                "mem:served.txt",
            ]
            assert {getattr(instance, name).storage for name in names} == {storage}
            instance.title = "changed"
            await session.flush()
            assert instance.updated == StoredFile("mem:updated.txt")

    async def test_they_apply_in_core(self, engine, row):
        async with engine.begin() as connection:
            await connection.execute(insert(row.__table__), [{"title": "1"}, {"title": "2"}])
            plain = await connection.scalars(select(type_coerce(row.plain, String)))
            assert plain.all() == ["mem:default.txt"] * 2


RETURNING = {
    "insert the class": insert(Document).values(id=7, file="a.txt").returning(Document),
    "insert the attribute": insert(Document).values(id=7, file="a.txt").returning(Document.file),
    "Core insert": insert(Document.__table__).values(id=7, file="a.txt").returning(Document.__table__.c.file),
    "update": update(Document).values(file="a.txt").returning(Document.file),
}


@pytest.mark.parametrize("statement", RETURNING.values(), ids=RETURNING.keys())
async def test_returning_gives_files(session, storage, statement):
    session.add(Document(id=1, file="b.txt"))
    await session.flush()
    [found] = await session.scalars(statement)
    file = getattr(found, "file", found)
    assert (file, file.storage) == (A, storage)


async def test_a_bulk_insert_returns_files_in_its_order(session):
    files = [f"{number}.txt" for number in (3, 1, 2)]
    statement = insert(Document).returning(Document.file, sort_by_parameter_order=True)
    found = await session.scalars(statement, [{"file": file} for file in files])
    assert [file.name for file in found] == files


async def test_bulk_save_and_insert_from_select(session):
    await session.run_sync(lambda sync: sync.bulk_save_objects([Document(file="a.txt")]))
    await session.execute(insert(Document).from_select(["file"], select(Document.file + ".bak")))
    found = await session.scalars(select(Document.file).order_by(Document.file))
    assert list(map(str, found)) == ["mem:a.txt", "mem:a.txt.bak"]


async def test_upsert(session, document):
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[session.bind.dialect.name]
    statement = dialect.insert(Document).values(id=1, file="c.txt")
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"file": "b.txt"}))
    await session.refresh(document)
    assert document.file == B


async def test_a_file_may_be_the_primary_key(engine, create):
    row = row_class(path=Column(FileType("documents"), primary_key=True), title=Column(String))
    await create(row)
    async with AsyncSession(engine) as session:
        session.add_all([row(id=1, path=path) for path in ("b.txt", "a.txt")])
        await session.commit()
        for instance in await session.scalars(select(row)):
            instance.title = "changed"
        await session.commit()
        assert (await session.get(row, (1, "a.txt"))).title == "changed"
