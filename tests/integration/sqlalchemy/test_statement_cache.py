"""SQLAlchemy compiles a statement once and keeps its types; no statement may give files of another one's storage."""

import pickle

import pytest
from sqlalchemy import Column, MetaData, bindparam, cast, column, literal, literal_column, select, text, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import InvalidArgumentException, LocalStorage, MemoryStorage, StoredFile, registry
from async_storages.files import storage_ref_of
from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import Document, FixedType, TenantType, row_class


@pytest.fixture
def local(tmp_path):
    return LocalStorage(tmp_path)


@pytest.fixture
async def connection(engine):
    async with engine.connect() as connection:
        yield connection


STATEMENTS = {
    "column": lambda type_: select(column("file", type_)).select_from(text("(SELECT 'a.txt' AS file) AS t")),
    "literal_column": lambda type_: select(literal_column("'a.txt'", type_)),
    "type_coerce": lambda type_: select(type_coerce(literal_column("'a.txt'"), type_)),
    "cast": lambda type_: select(cast(literal_column("'a.txt'"), type_)),
    "bindparam": lambda type_: select(bindparam("file", "a.txt", type_=type_)),
    "literal": lambda type_: select(literal("a.txt", type_)),
    "text": lambda type_: text("SELECT 'a.txt' AS file").columns(file=type_),
    "a condition": lambda type_: select(type_coerce(literal_column("'a.txt'"), type_)).where(
        type_coerce("a.txt", type_) != "b.txt"
    ),
}
TYPES = {
    "an ImageType": ImageType,
    "a FileType by keyword": lambda storage: FileType(length=99, storage=storage),
    "a subclass": lambda storage: TenantType({7: storage}, 7),
    "a variant": lambda storage: FileType(storage).with_variant(FileType(storage, 99), "sqlite", "postgresql"),
}
COMBINATIONS = {
    **{f"{name} of a FileType": (statement, FileType) for name, statement in STATEMENTS.items()},
    **{f"bindparam of {name}": (STATEMENTS["bindparam"], type_) for name, type_ in TYPES.items()},
}


@pytest.mark.parametrize(("statement", "type_"), COMBINATIONS.values(), ids=COMBINATIONS.keys())
async def test_the_same_text_with_two_types_gives_each_its_files(connection, local, statement, type_):
    storages = [MemoryStorage(), local, MemoryStorage()]
    types = [type_(storage) for storage in storages]
    for _time in ("compiled", "cached"):
        files = [await connection.scalar(statement(each)) for each in types]
        assert [file.storage for file in files] == storages


@pytest.mark.parametrize("select_", [lambda row: select(row.file), select], ids=["the attribute", "the class"])
async def test_two_classes_of_the_same_names(engine, create, local, select_):
    rows = [row_class(file=Column(FileType(storage))) for storage in (MemoryStorage(), local)]
    await create(rows[0])
    async with AsyncSession(engine) as session:
        session.add(rows[0](file="mem:a.txt"))
        await session.commit()
        for row in (*rows, *rows):
            loaded = await session.scalar(select_(row))
            file = getattr(loaded, "file", loaded)
            assert storage_ref_of(file).value is row.__table__.c.file.type.storage


async def test_a_statement_is_compiled_once_for_all_values(engine, session):
    session.add_all([Document(id=1, file="1.txt"), Document(id=2, file="2.txt")])
    await session.flush()
    compiled = set()
    for number in (1, 2):
        key = f"{number}.txt"
        statement = select(Document.id).where(Document.file == key, Document.file.in_([key]), Document.file <= key)
        assert await session.scalar(statement) == number
        compiled.add(frozenset(engine.sync_engine._compiled_cache.values()))
    assert len(compiled) == 1


async def test_a_pickled_statement_keeps_its_values(session):
    session.add(Document(id=1, file="1.txt"))
    await session.flush()
    file = Document.__table__.c.file
    statement = select(file).where(file == "1.txt", file.in_(["1.txt"]), file.startswith("mem:"))
    assert await session.scalar(pickle.loads(pickle.dumps(statement))) == StoredFile("mem:1.txt")


async def test_a_statement_may_be_written_before_its_storage_is_registered(session):
    row = row_class(file=Column(FileType("later")))
    await (await session.connection()).run_sync(row.metadata.create_all)
    statement = select(row.file).where(row.file == "a.txt", row.file.in_(["a.txt"]))
    with pytest.raises(InvalidArgumentException, match="no storage is registered as 'later'"):
        await session.scalar(statement)
    with registry.override("later", MemoryStorage()):
        session.add(row(file="a.txt"))
        await session.flush()
        assert await session.scalar(statement) == StoredFile("mem:a.txt")


COPIES = {
    "the column itself": lambda row: row.__table__,
    "to_metadata": lambda row: row.__table__.to_metadata(MetaData()),
    "an alias": lambda row: row.__table__.alias(),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
async def test_cached_statements_see_a_storage_that_is_set_later(engine, create, copied):
    row = row_class(file=Column(FileType(None)))
    await create(row)
    column_type, statement = row.__table__.c.file.type, select(copied(row).c.file)
    async with AsyncSession(engine) as session:
        session.add(row(file="mem:a.txt"))
        await session.commit()
        before = await session.scalar(statement)
        for storage in (MemoryStorage(), MemoryStorage()):
            column_type.storage = storage
            await storage.upload(b"x", "a.txt")
            assert (await session.scalar(statement)).storage is storage
            assert before.storage is storage
            assert await session.scalar(select(row.id).where(row.file == "a.txt")) == 1


async def test_a_mixin_has_one_storage_for_all_its_classes(engine, create):
    class Base(DeclarativeBase):
        pass

    class HasFile:
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[StoredFile] = mapped_column(FileType(None))

    class One(HasFile, Base):
        __tablename__ = "one"

    class Two(HasFile, Base):
        __tablename__ = "two"

    await create(Base)
    storage = MemoryStorage()
    async with AsyncSession(engine) as session:
        session.add_all([One(file="mem:1.txt"), Two(file="mem:2.txt")])
        await session.commit()
        One.__table__.c.file.type.storage = storage
        for class_ in (One, Two):
            assert (await session.scalar(select(class_.file))).storage is storage


async def test_a_subclass_with_a_fixed_storage(engine, create, storage):
    row = row_class(file=Column(FixedType(length=99)))
    await create(row)
    async with AsyncSession(engine) as session:
        session.add(row(file="a.txt"))
        await session.commit()
        assert (await session.scalar(select(row.file).where(row.file == "a.txt"))).storage is storage


async def test_override_reaches_cached_statements_and_loaded_files(session, storage):
    session.add(Document(id=1, file="a.txt"))
    await session.commit()
    statement = select(Document.file).where(Document.file == "a.txt")
    file = await session.scalar(statement)
    with registry.override("documents", MemoryStorage()) as other:
        assert file.storage is (await session.scalar(statement)).storage is other
    assert file.storage is (await session.scalar(statement)).storage is storage
