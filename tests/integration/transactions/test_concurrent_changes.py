"""Rows that somebody else has changed in the meantime, and locks that are no stronger than SQLAlchemy's own."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import ForeignKey, String, delete, event, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.exc import StaleDataError

from async_storages import FileGoneException, StoredFile
from async_storages.integrations.sqlalchemy import FileMapped, FileType
from tests.support.ledgers import forget_ledgers, only_level_1
from tests.support.named import named, saved
from tests.support.tracked import Album, Base, Book, Loan, pending

pytestmark = pytest.mark.matrix


class Own(DeclarativeBase):
    type_annotation_map = {str: String(100)}  # noqa: RUF012 - as SQLAlchemy's documentation has it


class Parent(Own):
    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None]
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"), index=True)


class Child(Own):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey(Parent.id))


only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    forget_ledgers(Own.metadata)


@pytest.fixture
def names(engine):
    return partial(named, engine, Base.metadata)


@pytest.fixture
def cached(engine, track):
    """Sessions whose objects outlive a commit, as those in a cache or of a long request do."""
    return track(async_sessionmaker(engine, expire_on_commit=False))


async def add(sessions, *rows):
    async with sessions.begin() as session:
        session.add_all(rows)


async def load(sessions, class_=Book):
    """Row 1 as it is now, detached."""
    async with sessions() as session:
        return await session.get(class_, 1)


async def blocked(engine, task):
    """Wait until somebody waits for a lock, or until there is nothing to wait for."""
    async with engine.connect() as watcher:
        while not (task.done() or await watcher.scalar(WAITING)):
            await watcher.rollback()


def as_text(file):
    return file.file_id


def as_bare_key(file):
    return file.name


def as_stored_file(file):
    return StoredFile(file.file_id)


def as_it_was(file):
    return file


SPELLED = [as_text, as_bare_key, as_stored_file, as_it_was]


@pytest.fixture
async def stale(sessions, left):
    """The file that row 1 named until somebody replaced it by "current"; it is gone."""
    await add(sessions, Book(id=1, title="title", file=pending("old")))
    old = (await load(sessions)).file
    async with sessions.begin() as session:
        (await session.get(Book, 1)).file = pending("current")
    assert await left() == {"current"}
    return old


class TestStaleIds:
    """A form, a cache or an API's PUT gives back what it read before."""

    @pytest.mark.parametrize("spell", SPELLED)
    async def test_a_full_put(self, sessions, stale, names, left, spell):
        async def put():
            async with sessions.begin() as session:
                book = await session.get(Book, 1)
                book.title, book.file = "changed", spell(stale)

        with pytest.raises(FileGoneException):
            await put()
        async with sessions() as session:
            assert (await session.get(Book, 1)).title == "title"
        assert await names() == ["current"]
        assert await left() == {"current"}

    @pytest.mark.parametrize("spell", SPELLED)
    async def test_a_full_put_while_the_row_is_replaced(self, cached, names, left, spell):
        """The row was read before, and its file replaced between that and the flush."""
        await add(cached, Book(id=1, title="title", file=pending("old")))
        async with cached() as session:
            book = await session.get(Book, 1)
            old = book.file
            await session.commit()
            async with cached.begin() as other:
                (await other.get(Book, 1)).file = pending("current")
            await left()
            book.title, book.file = "changed", spell(old)
            await session.commit()
        found = await names()
        assert found == ["current"]  # the same value is no change, as SQLAlchemy sees it
        assert await left() == {"current"}

    async def test_beside_a_new_file(self, sessions, stale, names, left):
        """The uploads of the refused flush go again."""

        async def put():
            async with sessions.begin() as session:
                session.add(Loan(id=1, file=pending("new")))
                (await session.get(Book, 1)).file = stale.file_id

        with pytest.raises(FileGoneException):
            await put()
        assert await names() == ["current"]
        assert await left() == {"current"}

    @pytest.mark.parametrize("spell", SPELLED)
    async def test_in_a_statement(self, sessions, stale, names, left, spell):
        async def put():
            async with sessions.begin() as session:
                await session.execute(update(Book).where(Book.id == 1).values(file=spell(stale)))

        with pytest.raises(FileGoneException):
            await put()
        assert await names() == ["current"]
        assert await left() == {"current"}

    async def test_the_id_that_the_row_has(self, sessions, stale, names, left):
        async with sessions.begin() as session:
            book = await session.get(Book, 1)
            book.title, book.file = "changed", book.file.file_id
        assert await names() == ["current"]
        assert await left() == {"current"}

    @pytest.mark.parametrize("spell", SPELLED)
    async def test_the_id_of_another_file(self, sessions, storage, stale, names, left, spell):
        other = await saved(storage, "other")
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = spell(other)
        assert await names() == ["other"]
        assert await left() == {"other"}

    async def test_an_id_that_never_was(self, sessions, stale, names, left):
        async def put():
            async with sessions.begin() as session:
                (await session.get(Book, 1)).file = StoredFile("mem:nowhere")

        with pytest.raises(FileGoneException):
            await put()
        assert await names() == ["current"]
        assert await left() == {"current"}

    async def test_the_session_goes_on_after_a_rollback(self, sessions, stale, names, left):
        async with sessions() as session:
            book = await session.get(Book, 1)
            book.file = stale.file_id
            with pytest.raises(FileGoneException):
                await session.commit()
            await session.rollback()
            book.file = pending("new")
            await session.commit()
        assert await names() == ["new"]
        assert await left() == {"new"}


class TestMerge:
    async def test_a_cached_row(self, cached, names, left):
        await add(cached, Book(id=1, title="title", file=pending("old")))
        book = await load(cached)
        async with cached.begin() as session:
            (await session.get(Book, 1)).file = pending("current")
        assert await left() == {"current"}
        book.title = "changed"

        async def merge():
            async with cached.begin() as session:
                await session.merge(book)

        with pytest.raises(FileGoneException):
            await merge()
        assert (await load(cached)).title == "title"
        assert await names() == ["current"]
        assert await left() == {"current"}

    async def test_a_row_that_nobody_changed(self, cached, names, left):
        await add(cached, Book(id=1, title="title", file=pending("old")))
        book = await load(cached)
        book.title = "changed"
        async with cached.begin() as session:
            await session.merge(book)
        assert (await load(cached)).title == "changed"
        assert await names() == ["old"]
        assert await left() == {"old"}

    async def test_a_row_that_is_gone(self, cached, names, left):
        """It would come back without its file."""
        await add(cached, Book(id=1, title="title", file=pending("old")))
        book = await load(cached)
        async with cached.begin() as session:
            await session.execute(delete(Book))
        assert await left() == set()
        async with cached() as session:
            await session.merge(book)
            try:
                await session.commit()
            except FileGoneException:
                await session.rollback()
                assert await names() == []
            else:  # tracking looks only where an id is put in the place of another file
                assert (await load(cached)).title == "title"

    async def test_a_cached_list(self, cached, names, left):
        await add(cached, Album(id=1, pages=[pending("a"), pending("b")]))
        album = await load(cached, Album)
        async with cached.begin() as session:
            found = await session.get(Album, 1)
            found.pages[0] = pending("c")
        assert await left() == {"b", "c"}

        async def merge():
            async with cached.begin() as session:
                await session.merge(album)

        with pytest.raises(FileGoneException):
            await merge()
        assert await names() == ["b", "c"]
        assert await left() == {"b", "c"}


async def remove_first(pages):
    del pages[0]


async def clear(pages):
    pages.clear()


async def replace_first(pages):
    pages[0] = pending("theirs")


THEIRS = {
    "removed": (remove_first, ["b", "c"]),
    "cleared": (clear, []),
    "replaced": (replace_first, ["b", "c", "theirs"]),
}
OURS = {
    "append": lambda pages: pages.append(pending("ours")),
    "remove another": lambda pages: pages.pop(1),
    "reorder": lambda pages: pages.reverse(),
    "replace another": lambda pages: pages.__setitem__(2, pending("ours")),
}


class TestOneList:
    """Two people edit one list of files, each from what they have loaded."""

    @pytest.fixture
    async def album(self, cached):
        """An object of an open session, which has let go of its transaction."""
        await add(cached, Album(id=1, pages=[pending(name) for name in "abc"]))
        async with cached() as session:
            album = await session.get(Album, 1)
            await session.commit()
            yield session, album

    async def change(self, sessions, change):
        async with sessions.begin() as session:
            found = await session.get(Album, 1)
            await change(found.pages)

    @pytest.mark.parametrize(("theirs", "kept"), THEIRS.values(), ids=THEIRS.keys())
    @pytest.mark.parametrize("ours", OURS.values(), ids=OURS.keys())
    async def test_an_element_that_was_removed_meanwhile(self, cached, album, names, left, theirs, kept, ours):
        session, found = album
        await self.change(cached, theirs)
        ours(found.pages)
        with pytest.raises(FileGoneException):
            await session.commit()
        await session.rollback()
        assert await names() == kept
        assert await left() == set(kept)

    @pytest.mark.parametrize("ours", OURS.values(), ids=OURS.keys())
    async def test_its_file_is_there_still(self, cached, storage, album, names, left, ours):
        """Another row names it: that the element is in the list again is no decision of ours."""
        session, found = album
        await add(cached, Loan(id=1, file=found.pages[0]))
        await self.change(cached, remove_first)
        ours(found.pages)
        with pytest.raises(FileGoneException):
            await session.commit()
        await session.rollback()
        assert await names() == ["a", "b", "c"]
        assert await left() == {"a", "b", "c"}

    async def test_its_removal_has_not_come_to_an_end(self, cached, storage, album, names, level, left):
        session, found = album
        storage.held = {"delete"}
        removing = asyncio.create_task(self.change(cached, remove_first))
        if level == 1:
            await storage.reached.wait()
        else:  # it is the worker's
            await removing
        found.pages.append(pending("ours"))
        with pytest.raises(FileGoneException):
            await session.commit()
        await session.rollback()
        storage.held = set()
        storage.go_on.set()
        await removing
        assert await names() == ["b", "c"]
        assert await left() == {"b", "c"}

    async def test_both_remove_the_same(self, cached, album, names, left):
        """Nothing that is gone is in our list."""
        session, found = album
        await self.change(cached, remove_first)
        del found.pages[0]
        await session.commit()
        assert await names() == ["b", "c"]
        assert await left() == {"b", "c"}

    async def test_both_append(self, cached, album, names, left):
        """Ours holds nothing that is gone; what rows name is there, in whatever way it is decided."""

        async def append(pages):
            pages.append(pending("theirs"))

        session, found = album
        await self.change(cached, append)
        found.pages.append(pending("ours"))
        try:
            await session.commit()
        except FileGoneException:
            await session.rollback()
        kept = await names()
        assert {"a", "b", "c"} < set(kept)
        assert await left() == set(kept)

    async def test_refresh_and_do_it_again(self, cached, album, names, left):
        session, found = album
        await self.change(cached, remove_first)
        found.pages.append(pending("ours"))
        with pytest.raises(FileGoneException):
            await session.commit()
        await session.rollback()
        await session.refresh(found)
        found.pages.append(pending("ours"))
        await session.commit()
        assert await names() == ["b", "c", "ours"]
        assert await left() == {"b", "c", "ours"}

    async def test_a_list_of_ids(self, cached, album, names, left):
        """A form gives the whole list back, as ids."""
        session, found = album
        ids = [page.file_id for page in found.pages]
        await self.change(cached, remove_first)
        await left()
        await session.refresh(found)
        found.pages = [*ids, pending("ours")]
        with pytest.raises(FileGoneException):
            await session.commit()
        await session.rollback()
        assert await names() == ["b", "c"]
        assert await left() == {"b", "c"}

    @only_postgresql
    async def test_the_second_flush_waits_for_the_first(self, engine, cached, album, names, left):
        session, found = album
        async with cached() as other:
            theirs = await other.get(Album, 1)
            del theirs.pages[0]
            await other.flush()
            found.pages.append(pending("ours"))
            second = asyncio.create_task(session.commit())
            await blocked(engine, second)
            await other.commit()
            with pytest.raises(FileGoneException):
                await second
            await session.rollback()
        assert await names() == ["b", "c"]
        assert await left() == {"b", "c"}


class TestOtherHands:
    async def test_replaced_by_raw_sql_meanwhile(self, engine, cached, storage, names, left):
        """It is what the row names that is removed, not what the object was loaded with."""
        await add(cached, Book(id=1, file=pending("old")))
        async with cached() as session:
            book = await session.get(Book, 1)
            await session.commit()
            theirs = await saved(storage, "theirs")
            async with engine.begin() as connection:
                await connection.execute(update(Book.__table__).values(file=theirs))
                await connection.execute(insert(Loan.__table__).values(id=1, file=book.file))
            book.file = pending("new")
            await session.commit()
        assert await names() == ["new", "old"]
        assert await left() == {"new", "old"}

    async def test_deleted_meanwhile(self, cached, names, left):
        await add(cached, Book(id=1, file=pending("old")))
        async with cached() as session:
            book = await session.get(Book, 1)
            await session.commit()
            async with cached.begin() as other:
                await other.execute(delete(Book))
            book.file = pending("new")
            with pytest.raises(StaleDataError):
                await session.commit()
        assert await names() == []
        assert await left() == set()

    async def test_a_deletion_of_what_was_replaced_meanwhile(self, cached, names, left):
        await add(cached, Book(id=1, file=pending("old")))
        async with cached() as session:
            book = await session.get(Book, 1)
            await session.commit()
            async with cached.begin() as other:
                (await other.get(Book, 1)).file = pending("theirs")
            await session.delete(book)
            await session.commit()
        assert await names() == []
        assert await left() == set()


# ---- locks


ROLE = "parents_clerk"


async def replace_by_object(session, name):
    (await session.get(Parent, 1)).file = pending(name)
    await session.flush()


async def replace_by_statement(session, name):
    await session.execute(update(Parent).where(Parent.id == 1).values(file=None))


REPLACE = {"ORM": replace_by_object, "statement": replace_by_statement}


@only_postgresql
class TestLocks:
    @pytest.fixture
    async def parents(self, track_metadata):
        sessions, left = await track_metadata(Own.metadata)
        await add(sessions, Parent(id=1, title="title", file=pending("old")))
        return sessions, left

    @pytest.fixture
    def names(self, engine):
        return partial(named, engine, Own.metadata)

    @pytest.mark.parametrize("replace", REPLACE.values(), ids=REPLACE.keys())
    async def test_two_replaces_that_each_insert_a_child_row(self, parents, names, replace):
        """The child's foreign key locks the row a little; two that each hold that must not wait for each other."""
        sessions, left = parents
        both_have = asyncio.Barrier(2)

        async def work(number):
            async with sessions.begin() as session:
                session.add(Child(id=number, parent_id=1))
                await session.flush()
                await both_have.wait()
                await replace(session, f"by {number}")

        await asyncio.gather(work(1), work(2))
        async with sessions() as session:
            assert len((await session.scalars(select(Child))).all()) == 2
        found = await names()
        assert found in ([["by 1"], ["by 2"]] if replace is replace_by_object else [[]])
        assert await left() == set(found)

    @pytest.mark.parametrize("replace", REPLACE.values(), ids=REPLACE.keys())
    async def test_children_are_inserted_meanwhile(self, engine, parents, names, replace):
        sessions, left = parents
        async with sessions() as one, sessions() as two:
            await replace(one, "one")
            await two.execute(text("SET LOCAL lock_timeout = '5s'"))
            two.add(Child(id=1, parent_id=1))
            await two.commit()
            await one.commit()
        expected = ["one"] if replace is replace_by_object else []
        assert await names() == expected
        assert await left() == set(expected)

    @pytest.fixture
    async def clerk(self, engine, parents, database_url):
        """An engine of a role that may read and delete rows, and not change them."""
        async with engine.begin() as connection:
            await connection.execute(text(f"CREATE ROLE {ROLE} NOLOGIN"))
            await connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {ROLE}"))
            await connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}"))
            await connection.execute(text(f"GRANT DELETE ON parents, children TO {ROLE}"))
            for table in await connection.scalars(text("SELECT tablename FROM pg_tables WHERE tablename ~ '^stored_'")):
                await connection.execute(text(f"GRANT ALL ON {table} TO {ROLE}"))
        clerk = create_async_engine(database_url)

        @event.listens_for(clerk.sync_engine, "connect")
        def become(connection, record):
            cursor = connection.cursor()
            cursor.execute(f"SET ROLE {ROLE}")
            cursor.close()
            connection.commit()

        yield clerk
        await clerk.dispose()
        async with engine.begin() as connection:
            await connection.execute(text(f"DROP OWNED BY {ROLE}"))
            await connection.execute(text(f"DROP ROLE {ROLE}"))

    @pytest.mark.parametrize("by", ["ORM", "statement", "Core"])
    async def test_a_role_that_may_delete_and_not_update(self, clerk, parents, names, by):
        sessions, left = parents
        async with sessions(bind=clerk) as session:
            if by == "ORM":
                await session.delete(await session.get(Parent, 1))
            else:
                await session.execute(delete(Parent if by == "statement" else Parent.__table__))
            await session.commit()
        assert await names() == []
        assert await left() == set()

    async def test_two_deletions_of_one_row(self, engine, parents, names):
        sessions, left = parents
        async with sessions() as one, sessions() as two:
            await one.execute(delete(Parent).where(Parent.id == 1))
            second = asyncio.create_task(two.execute(delete(Parent).where(Parent.id == 1)))
            await blocked(engine, second)
            await one.commit()
            assert (await second).rowcount == 0
            await two.commit()
        assert await names() == []
        assert await left() == set()

    async def test_a_deletion_while_the_row_is_replaced(self, engine, parents, names):
        """The file that goes is the one that the row has when it is deleted."""
        sessions, left = parents
        async with sessions() as one, sessions() as two:
            await replace_by_object(one, "one")
            second = asyncio.create_task(two.execute(delete(Parent).where(Parent.id == 1)))
            await blocked(engine, second)
            await one.commit()
            assert (await second).rowcount == 1
            await two.commit()
        assert await names() == []
        assert await left() == set()

    async def test_a_row_that_matches_no_more_once_the_lock_is_there(self, engine, parents, names):
        sessions, left = parents
        async with sessions() as one, sessions() as two:
            (await one.get(Parent, 1)).title = "changed"
            await one.flush()
            second = asyncio.create_task(two.execute(delete(Parent).where(Parent.title == "title")))
            await blocked(engine, second)
            await one.commit()
            assert (await second).rowcount == 0
            await two.commit()
        assert await names() == ["old"]
        assert await left() == {"old"}

    async def test_repeatable_read(self, engine, parents, names):
        """PostgreSQL refuses the second; the files are those of the rows."""
        sessions, left = parents
        serial = engine.execution_options(isolation_level="REPEATABLE READ")
        async with sessions(bind=serial) as one, sessions(bind=serial) as two:
            for session in (one, two):
                await session.execute(select(Parent))
            await replace_by_object(one, "one")
            second = asyncio.create_task(replace_by_object(two, "two"))
            await blocked(engine, second)
            await one.commit()
            assert "could not serialize" in str((await asyncio.gather(second, return_exceptions=True))[0])
            await two.rollback()
        assert await names() == ["one"]
        assert await left() == {"one"}


@only_postgresql
@only_level_1
@pytest.mark.parametrize("is_committed", [True, False], ids=["commit", "rollback"])
async def test_a_copy_that_nobody_knows_of_until_it_is_committed(engine, sessions, storage, rows, left, is_committed):
    """A SELECT fills the row: its transaction cannot tell which file it names."""
    async with sessions.begin() as session:
        session.add(Book(id=1, file=await storage.save(b"", "old")))
    async with sessions() as one, sessions() as two:
        copied = select(literal(2), Book.__table__.c.file)
        await one.execute(insert(Book.__table__).from_select(["id", "file"], copied))
        await two.execute(delete(Book).where(Book.id == 1))
        await two.commit()
        await (one.commit() if is_committed else one.rollback())
    assert (await rows(), await left()) == (({2: "old"}, {"old"}) if is_committed else ({}, set()))
