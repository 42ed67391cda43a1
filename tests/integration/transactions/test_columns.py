"""Content in columns: keys, refusals, retries, and plain Sessions."""

import asyncio
from fnmatch import fnmatch
from io import BytesIO
from typing import ClassVar

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    ForeignKeyConstraint,
    Integer,
    String,
    bindparam,
    create_engine,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from async_storages import (
    FileExistsException,
    FileGoneException,
    FileTooLargeException,
    FileTypeConfig,
    FileValidator,
    InvalidArgumentException,
    InvalidFileTypeException,
    PendingFile,
    StorageManager,
    StorageUnavailableException,
    StoredFile,
)
from async_storages.integrations.sqlalchemy import FileType, ImageType, enable_file_tracking
from tests.support.documents import row_class
from tests.support.images import encode
from tests.support.ledgers import only_level_1
from tests.support.tracked import Base, Book, files, pending


@pytest.fixture
def create(engine, sessions):
    """A class with one column, `file`, and its table."""

    async def create(type_, **columns):
        row = row_class(file=Column(type_), **columns)
        async with engine.begin() as connection:
            await connection.run_sync(row.metadata.create_all)
        return row

    return create


@only_level_1
class TestPlaces:
    async def stored(self, sessions, row, content):
        async with sessions() as session:
            session.add(instance := row(id=1, file=content))
            await session.commit()
            await session.refresh(instance)
            return instance.file

    async def test_folder(self, sessions, create):
        file = await self.stored(sessions, await create(FileType("documents", folder="covers")), pending("new"))
        assert (file.name.rpartition("/")[0], file.filename) == ("covers", "new")

    @pytest.mark.parametrize(
        ("chosen", "name"),
        [
            ("books/{0.id}/", "books/1/????????????????_a b.txt"),
            ("books/{0.id}/{1}", "books/1/a b.txt"),
            ("../{1}", "a b.txt"),
        ],
        ids=["a folder", "a key", "out of the way"],
    )
    async def test_upload_to(self, sessions, create, chosen, name):
        row = await create(FileType("documents", upload_to=chosen.format))
        file = await self.stored(sessions, row, PendingFile(b"", filename="/etc/a b.txt"))
        assert fnmatch(file.name, name)

    async def test_an_exact_key_never_overwrites(self, sessions, create, storage):
        row = await create(FileType("documents", upload_to=lambda target, name: "fixed"))
        await storage.upload(b"theirs", "fixed")
        with pytest.raises(FileExistsException):
            await self.stored(sessions, row, pending("new"))
        assert await storage.read("fixed") == b"theirs"

    async def test_a_manager_chooses_the_storage(self, sessions, create, storage):
        row = await create(FileType(StorageManager.from_storages(storage)))
        assert (await self.stored(sessions, row, pending("new"))).storage is storage

    async def test_an_image_tells_its_dimensions(self, sessions, create):
        row = await create(
            ImageType("documents", width="wide", height="high"), wide=Column(Integer), high=Column(Integer)
        )
        async with sessions.begin() as session:
            session.add(instance := row(id=1, file=PendingFile(encode("PNG", (5, 7)), filename="a.png")))
            await session.flush()
            assert (instance.wide, instance.high) == (5, 7)


REFUSED = {
    "type": (FileValidator(FileTypeConfig(whitelist=["png"])), InvalidFileTypeException),
    "size": (FileValidator(max_file_size=3), FileTooLargeException),
}


class TestRefused:
    @pytest.mark.parametrize(("validator", "error"), REFUSED.values(), ids=REFUSED.keys())
    async def test_validators(self, sessions, create, storage, validator, error):
        row = await create(FileType("documents", validators=[validator]))
        with pytest.raises(error):
            async with sessions.begin() as session:
                session.add(row(file=PendingFile(iter([b"12", b"34"]), filename="a.txt")))
        assert await files(storage) == set()

    async def test_too_long_for_the_column(self, sessions, create, storage):
        row = await create(FileType("documents", length=30))
        storage.held = {"write"}  # it is not even tried
        with pytest.raises(InvalidArgumentException, match="the column has 30"):
            async with sessions.begin() as session:
                session.add(row(file=PendingFile(b"", filename="a" * 20)))


class TestRetries:
    @only_level_1
    async def test_new_objects_get_their_content_back(self, sessions, storage, rows):
        book = Book(id=1, file=PendingFile(BytesIO(b"content"), filename="new"))
        async with sessions() as session:
            session.add(book)
            await session.flush()
            await session.rollback()
            assert await files(storage) == set()
            session.add(book)
            await session.commit()
            await session.refresh(book)
            assert await book.file.read() == b"content"
        assert (await rows(), await files(storage)) == ({1: "new"}, {"new"})

    async def test_after_a_failed_upload(self, sessions, storage, rows, left):
        storage.refused = {"second"}
        async with sessions() as session:
            first = Book(id=1, file=PendingFile(BytesIO(b"content"), filename="first"))
            session.add_all([first, Book(id=2, file=pending("second"))])
            with pytest.raises(StorageUnavailableException):
                await session.flush()
            storage.refused = set()
            await session.commit()
            await session.refresh(first)
            assert await first.file.read() == b"content"
        assert (await rows(), await left()) == ({1: "first", 2: "second"}, {"first", "second"})

    @only_level_1
    async def test_content_that_is_spent_is_not_taken_for_an_empty_file(self, sessions, storage, rows):
        book = Book(id=1, file=PendingFile(iter([b"content"]), filename="new"))
        async with sessions() as session:
            session.add(book)
            await session.flush()
            await session.rollback()
            session.add(book)
            with pytest.raises(InvalidArgumentException, match="only once"):
                await session.commit()
        assert (await rows(), await files(storage)) == ({}, set())

    @only_level_1
    async def test_a_file_that_was_removed_is_not_named(self, sessions, storage, rows):
        saved = await storage.save(b"", "new")
        async with sessions() as session:
            session.add(Book(id=1, file=saved))
            await session.flush()
        async with sessions() as session:
            session.add(Book(id=1, file=saved))
            with pytest.raises(FileGoneException):
                await session.flush()
        assert (await rows(), await files(storage)) == ({}, set())

    @pytest.mark.parametrize("name", ["plain", "mem:plain"])
    async def test_plain_ids_outlive_a_rollback(self, sessions, storage, name, left):
        await storage.upload(b"", "plain")
        async with sessions() as session:
            session.add(Book(file=name))
            await session.flush()
        assert await left() == {"plain"}


class TestDefaults:
    @pytest.mark.parametrize("kind", ["default", "server_default"])
    async def test_its_file_stays(self, engine, track_metadata, storage, kind):
        row = row_class(file=Column(FileType("documents"), **{kind: "mem:default"}))
        sessions, left = await track_metadata(row.metadata)
        await storage.upload(b"", "default")
        async with sessions.begin() as session:
            session.add_all([row(id=1), row(id=2, file="default"), row(id=3, file=pending("own"))])
        async with sessions.begin() as session:
            await session.execute(delete(row).where(row.id == 3))
            for number in (1, 2):
                await session.delete(await session.get(row, number))
        assert await left() == {"default"}


class TestMany:
    @only_level_1
    async def test_uploads_are_bounded(self, engine, storage, rows):
        sessions = enable_file_tracking(async_sessionmaker(engine), concurrency=3)
        running, most = 0, 0
        write = storage.write

        async def counting(content, key, *, overwrite=True):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            try:
                return await write(content, key, overwrite=overwrite)
            finally:
                running -= 1

        storage.write = counting
        async with sessions.begin() as session:
            session.add_all([Book(id=number, file=pending(f"{number}")) for number in range(1, 601)])
        assert (len(await rows()), len(await files(storage)), most) == (600, 600, 3)
        async with sessions.begin() as session:
            for book in await session.scalars(select(Book)):
                await session.delete(book)
        assert (await rows(), await files(storage)) == ({}, set())


@only_level_1
class TestArrays:
    @pytest.fixture
    def database_url(self, postgres_database):
        return postgres_database

    async def test_each_file_counts(self, sessions, storage, create):
        row = await create(ARRAY(FileType("documents")))
        async with sessions.begin() as session:
            session.add(row(id=1, file=[pending("one"), await storage.save(b"", "two")]))
        async with sessions.begin() as session:
            instance = await session.get(row, 1)
            assert [file.filename for file in instance.file] == ["one", "two"]
            instance.file = [instance.file[1], pending("three")]
        assert await files(storage) == {"two", "three"}
        async with sessions.begin() as session:
            await session.execute(delete(row))
        assert await files(storage) == set()


CHANGES = {
    "content": lambda session, book: session.add(Book(file=pending("new"))),
    "replace": lambda session, book: setattr(book, "file", pending("new")),
}


INSERTS = {
    "values": lambda table, file: insert(table).values(id=1, file=file),
    "several values": lambda table, file: insert(table).values([{"id": 1, "file": file}, {"id": 2, "file": None}]),
}


class TestInserts:
    @pytest.mark.parametrize("statement", INSERTS.values(), ids=INSERTS.keys())
    @pytest.mark.parametrize("table", [Book, Book.__table__], ids=["class", "table"])
    async def test_saved_files_count(self, sessions, storage, statement, table, left):
        async with sessions() as session:
            await session.execute(statement(table, await storage.save(b"", "rolled back")))
            await session.rollback()
            await session.execute(statement(table, await storage.save(b"", "new")))
            await session.commit()
        assert await left() == {"new"}

    async def test_lists_of_parameters(self, sessions, storage, left):
        async with sessions() as session:
            await session.execute(insert(Book), [{"file": await storage.save(b"", name)} for name in "xy"])
            await session.rollback()
            await session.execute(insert(Book), [{"file": await storage.save(b"", name)} for name in "ab"])
            await session.commit()
        assert await left() == {"a", "b"}

    async def test_an_update_with_a_list_of_parameters_is_refused(self, sessions, book):
        async with sessions() as session:
            with pytest.raises(InvalidArgumentException, match="change the objects"):
                await session.execute(update(Book), [{"id": 1, "file": "x"}])
            await session.execute(update(Book), [{"id": 1, "title": "x"}])

    async def test_an_update_names_a_saved_file(self, sessions, storage, book, rows, left):
        async with sessions.begin() as session:
            await session.execute(update(Book).values(file=bindparam("name")), {"name": await storage.save(b"", "new")})
        assert (await rows(), await left()) == ({1: "new"}, {"new", "old-deferred", "old-kept"})


class Keyed(DeclarativeBase):
    type_annotation_map = {str: String(100)}  # noqa: RUF012 - as SQLAlchemy's documentation has it


class Part(Keyed):
    __tablename__ = "parts"
    one: Mapped[int] = mapped_column(primary_key=True)
    two: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "part"}


class Wheel(Part):
    __tablename__ = "wheels"
    one: Mapped[int] = mapped_column(primary_key=True)
    two: Mapped[str] = mapped_column(primary_key=True)
    tyre: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
    __table_args__ = (ForeignKeyConstraint(["one", "two"], ["parts.one", "parts.two"]),)
    __mapper_args__: ClassVar = {"polymorphic_identity": "wheel"}


class Seat(Part):
    cover: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
    __mapper_args__: ClassVar = {"polymorphic_identity": "seat"}


class TestInheritance:
    async def test_all_columns_of_a_class_count(self, track_metadata):
        sessions, left = await track_metadata(Keyed.metadata)
        async with sessions.begin() as session:
            session.add(Wheel(one=1, two="a", file=pending("file"), tyre=pending("tyre")))
            session.add_all([Seat(one=number, two="a", file=pending("s"), cover=pending("cover")) for number in (2, 3)])
        async with sessions.begin() as session:
            (await session.get(Part, (1, "a"))).tyre = pending("new")
            (await session.get(Seat, (2, "a"))).file = None
            await session.delete(await session.get(Seat, (3, "a")))
        assert await left() == {"file", "new", "cover"}
        async with sessions.begin() as session:
            await session.delete(await session.get(Wheel, (1, "a")))
            await session.execute(delete(Part))  # which has no attribute `cover`
        assert await left() == set()


class TestPlainSession:
    @pytest.fixture
    def sync_engine(self, tmp_path):
        engine = create_engine(f"sqlite:///{tmp_path / 'sync.sqlite'}")
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(Book(id=1, file="old", kept="old-kept"))
            session.commit()
        yield engine
        engine.dispose()

    @pytest.fixture(params=["sessionmaker", "Session subclass"])
    def sync_sessions(self, request, sync_engine):
        if request.param == "sessionmaker":
            return enable_file_tracking(sessionmaker(sync_engine))
        own = enable_file_tracking(type("Own", (Session,), {}))
        return lambda: own(sync_engine)

    def test_ids_work(self, sync_sessions):
        with sync_sessions() as session:
            session.add(Book(id=2, file="new"))
            session.get(Book, 1).kept = "other"
            session.commit()
            assert session.get(Book, 2).file.name == "new"

    def test_content_is_uploaded_and_removed(self, sync_sessions, storage):
        storage.sync.upload(b"", "old")
        with sync_sessions() as session:
            session.get(Book, 1).file = pending("new")
            session.commit()
            assert session.get(Book, 1).file.sync.read() == b"new"
            assert [info.file_name for info in storage.sync.list()] == ["new"]

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
    async def test_a_running_event_loop_is_not_blocked(self, sync_sessions, change):
        with sync_sessions() as session:
            book = await asyncio.to_thread(session.get, Book, 1)
            change(session, book)
            with pytest.raises(InvalidArgumentException, match="running event loop: use AsyncSession"):
                session.flush()
            await asyncio.to_thread(session.rollback)
            assert (await asyncio.to_thread(session.get, Book, 1)).file.name == "old"
            await asyncio.to_thread(session.close)


class TestTargets:
    @only_level_1
    async def test_a_subclass_of_async_session(self, engine, storage, rows):
        class Own(AsyncSession):
            pass

        enable_file_tracking(Own)
        enable_file_tracking(Own)
        assert AsyncSession.sync_session_class is Session
        async with Own(engine) as session:
            session.add(Book(id=1, file=pending("new")))
            await session.flush()
            assert await files(storage) == {"new"}
        assert await files(storage) == set()

    @only_level_1
    async def test_others_are_not_tracked(self, engine, sessions):
        async with AsyncSession(engine) as session:
            session.add(Book(id=1, file=pending("new")))
            with pytest.raises(InvalidArgumentException, match="enable_file_tracking"):
                await session.flush()
