"""A commit that only adds files to plain tables asks nothing; whatever may disturb its rows makes it ask."""

import re
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import delete, event, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from async_storages.integrations.sqlalchemy import enable_file_tracking
from async_storages.integrations.sqlalchemy.tracking.plain_tables import forget_plain_tables
from tests.support.named import named, saved
from tests.support.tracked import Album, Base, Book, Loan, Shelf, pending

pytestmark = pytest.mark.matrix

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
not_mariadb = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)  # which always asks
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def level():
    """With a ledger nothing is asked at all: its worker asks."""
    return 1


@pytest.fixture
def names(engine):
    return partial(named, engine, Base.metadata)


@pytest.fixture
async def server(engine):
    """Runs SQL as somebody else would; its schema "helpers" and what needs it goes again."""

    async def server(*statements, engine=engine):
        async with engine.begin() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)

    yield server
    if engine.dialect.name == "postgresql":
        await server("DROP SCHEMA IF EXISTS helpers CASCADE")


@contextmanager
def counted(engine):
    """The statements that are sent."""
    sent = []

    def note(_connection, _cursor, sql, *_):
        sent.append(sql)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


def lookups_among(statements):
    return [each for each in statements if re.search("json_each|unnest|json_table", each, re.IGNORECASE)]


async def add_books(sessions, *ids):
    async with sessions.begin() as session:
        session.add_all(Book(id=id_, file=pending(str(id_))) for id_ in ids)


class TestNothingIsAsked:
    @not_mariadb
    async def test_a_new_row_costs_no_further_statement(self, engine, sessions, storage, names):
        await add_books(sessions, 1)
        with counted(engine) as tracked:
            await add_books(sessions, 2)
        with counted(engine) as untracked:
            async with async_sessionmaker(engine).begin() as session:
                session.add(Book(id=3, file=await saved(storage, "3")))
        assert tracked == untracked
        assert await names() == ["1", "2", "3"]

    @not_mariadb
    async def test_queries_between_flush_and_commit(self, engine, sessions, names):
        await add_books(sessions, 1)
        with counted(engine) as sent:
            async with sessions.begin() as session:
                session.add(Book(id=2, title="b", file=pending("2")))
                await session.flush()
                assert await session.scalar(select(func.count()).select_from(Book)) == 2
                assert await session.scalar(select(Book.id).where(Book.title == "b")) == 2
        assert not lookups_among(sent)
        assert await names() == ["1", "2"]

    @not_mariadb
    async def test_two_flushes(self, engine, sessions, names):
        await add_books(sessions, 1)
        with counted(engine) as sent:
            async with sessions.begin() as session:
                session.add(Book(id=2, file=pending("2")))
                await session.flush()
                session.add(Shelf(id=1))
                await session.flush()
                session.add(Loan(id=3, file=pending("3")))
        assert not lookups_among(sent)
        assert await names() == ["1", "2", "3"]

    async def test_a_rollback_after_a_flush(self, sessions, left):
        async with sessions() as session:
            session.add(Book(id=1, file=pending("1")))
            await session.flush()
            await session.rollback()
        assert await left() == set()

    async def test_the_row_that_was_flushed_is_another_sessions_too(self, sessions, storage, names, left):
        """A result of `save()` that two sessions name, one of which is rolled back."""
        await add_books(sessions, 1)
        file = await saved(storage, "shared")
        async with sessions() as first:
            first.add(Book(id=2, file=file))
            await first.commit()
        async with sessions() as second:
            second.add(Book(id=3, file=file))
            await second.flush()
            await second.rollback()
        assert await names() == ["1", "shared"]
        assert await left() == {"1", "shared"}


async def by_text(session):
    await session.execute(text("DELETE FROM books WHERE id = 2"))


async def by_the_driver(session):
    await (await session.connection()).exec_driver_sql("DELETE FROM books WHERE id = 2")


async def by_core(session):
    await (await session.connection()).execute(delete(Book.__table__).where(Book.__table__.c.id == 2))


async def by_an_update(session):
    await (await session.connection()).execute(update(Book.__table__).values(file=None).where(Book.__table__.c.id == 2))


async def by_the_session(session):
    await session.execute(delete(Book).where(Book.id == 2))


async def by_the_object(session):
    await session.delete(await session.get(Book, 2))


async def by_a_savepoint(session):
    """Its row is flushed before the savepoint; what is in it is rolled back."""
    async with session.begin_nested() as savepoint:
        await session.execute(text("DELETE FROM books WHERE id = 2"))
        await savepoint.commit()


GOES = [by_text, by_the_driver, by_core, by_an_update, by_the_session, by_the_object, by_a_savepoint]


class TestDisturbed:
    """Something happens to the row between its flush and the commit."""

    @pytest.mark.parametrize("go", GOES)
    async def test_the_row_goes_again(self, sessions, names, left, go):
        await add_books(sessions, 1)
        async with sessions.begin() as session:
            session.add(Book(id=2, file=pending("2")))
            await session.flush()
            await go(session)
        assert await names() == ["1"]
        assert await left() == {"1"}

    @pytest.mark.parametrize("go", GOES)
    async def test_the_row_stays_after_all(self, sessions, names, left, go):
        await add_books(sessions, 1)
        async with sessions.begin() as session:
            file = pending("2")
            session.add_all([row := Book(id=2, file=file), Shelf(id=1)])
            await session.flush()
            await session.execute(insert(Loan).values(id=2, file=row.file))
            await go(session)
        assert await names() == ["1", "2"]
        assert await left() == {"1", "2"}

    @pytest.mark.parametrize("how", ["driver", "text", "Core"])
    @pytest.mark.parametrize("flushes", [1, 2])
    async def test_a_listener_of_the_flush(self, sessions, names, left, how, flushes):
        def clear(_mapper, connection, shelf):
            if how == "driver":
                connection.exec_driver_sql("DELETE FROM books WHERE id = 2")
            elif how == "text":
                connection.execute(text("DELETE FROM books WHERE id = 2"))
            else:
                connection.execute(delete(Book.__table__).where(Book.__table__.c.id == 2))

        await add_books(sessions, 1)
        event.listen(Album, "after_insert", clear)
        try:
            async with sessions.begin() as session:
                session.add(Book(id=2, file=pending("2")))
                if flushes == 2:
                    await session.flush()
                session.add(Album(id=1))
        finally:
            event.remove(Album, "after_insert", clear)
        assert set(await names()) == await left()

    async def test_a_cascade_of_the_database(self, sessions, names, left):
        await add_books(sessions, 1)
        async with sessions.begin() as session:
            shelf = Shelf(id=1)
            session.add(shelf)
            await session.flush()
            session.add(Loan(id=2, shelf_id=1, file=pending("2")))
            await session.flush()
            await session.delete(shelf)
        assert await names() == ["1"]
        assert await left() == {"1"}

    @only_postgresql
    async def test_a_function_in_a_query(self, sessions, server, names, left):
        await server(
            "CREATE SCHEMA helpers",
            "CREATE FUNCTION helpers.clear() RETURNS void LANGUAGE sql AS 'DELETE FROM books WHERE id = 2'",
        )
        await add_books(sessions, 1)
        async with sessions.begin() as session:
            session.add(Book(id=2, file=pending("2")))
            await session.flush()
            await session.execute(select(func.helpers.clear()))
        assert await names() == ["1"]
        assert await left() == {"1"}

    async def test_a_savepoint_that_is_rolled_back(self, sessions, names, left):
        await add_books(sessions, 1)
        async with sessions.begin() as session:
            session.add(Book(id=2, file=pending("2")))
            await session.flush()
            async with session.begin_nested() as savepoint:
                session.add(Book(id=3, file=pending("3")))
                await session.flush()
                await savepoint.rollback()
            session.add(Book(id=4, file=pending("4")))
        assert await names() == ["1", "2", "4"]
        assert await left() == {"1", "2", "4"}


TRIGGERS = {
    "sqlite": {
        "drops": ["CREATE TRIGGER drops AFTER INSERT ON {} BEGIN DELETE FROM books WHERE id = 2; END"],
        "clears": ["CREATE TRIGGER clears AFTER INSERT ON {} BEGIN UPDATE books SET file = NULL WHERE id = 2; END"],
    },
    "mysql": {
        "drops": ["CREATE TRIGGER drops AFTER INSERT ON {} FOR EACH ROW DELETE FROM books WHERE id = 2"],
        "clears": ["CREATE TRIGGER clears AFTER INSERT ON {} FOR EACH ROW UPDATE books SET file = NULL WHERE id = 2"],
    },
    "postgresql": {
        "drops": [
            "CREATE SCHEMA helpers",
            """CREATE FUNCTION helpers.drops() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN DELETE FROM books WHERE id = 2; RETURN NULL; END $$""",
            "CREATE TRIGGER drops AFTER INSERT ON {} FOR EACH ROW EXECUTE FUNCTION helpers.drops()",
        ],
        "clears": [
            "CREATE SCHEMA helpers",
            "CREATE FUNCTION helpers.is_on() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            """CREATE RULE clears AS ON INSERT TO {} WHERE helpers.is_on()
            DO ALSO UPDATE books SET file = NULL WHERE id = 2""",
        ],
    },
}

OF_ITS_OWN_ROW = "CREATE TRIGGER own BEFORE INSERT ON books FOR EACH ROW SET NEW.file = IF(NEW.id = 2, NULL, NEW.file)"
"""For MariaDB, whose triggers change no table that the statement writes."""


def create_trigger(engine, name, table):
    if engine.dialect.name == "mysql" and table == "books":
        return [OF_ITS_OWN_ROW]
    return [each.format(table) for each in TRIGGERS[engine.dialect.name][name]]


class TestTriggers:
    """Changes by the database itself are seen as soon as there is a trigger or a rule."""

    @pytest.mark.parametrize("trigger", ["drops", "clears"])
    @pytest.mark.parametrize("is_known", [True, False], ids=["after a commit", "at first"])
    async def test_on_the_table_of_the_file(self, engine, sessions, server, names, left, trigger, is_known):
        if is_known:
            await add_books(sessions, 1)
        await server(*create_trigger(engine, trigger, "books"))
        await add_books(sessions, 2)
        assert await names() == ["1"][: int(is_known)]
        assert await left() == {"1"} & set(await names())

    @pytest.mark.parametrize("trigger", ["drops", "clears"])
    @pytest.mark.parametrize("flushes", [1, 2])
    async def test_on_another_table_of_the_transaction(self, engine, sessions, server, names, left, trigger, flushes):
        await add_books(sessions, 1)
        await server(*create_trigger(engine, trigger, "shelves"))
        async with sessions.begin() as session:
            session.add(Book(id=2, file=pending("2")))
            if flushes == 2:
                await session.flush()
            session.add(Shelf(id=1))
        assert set(await names()) == await left()
        if flushes == 2:
            assert await names() == ["1"]

    async def test_of_another_process(self, engine, database_url, sessions, server, names, left):
        await add_books(sessions, 1)
        other = create_async_engine(database_url)
        await server(*create_trigger(engine, "drops", "books"), engine=other)
        await other.dispose()
        forget_plain_tables(engine.sync_engine)  # as this process does when its knowledge is ten seconds old
        await add_books(sessions, 2)
        assert await names() == ["1"]
        assert await left() == {"1"}

    @only_sqlite
    async def test_a_constraint_that_ignores_rows(self, engine, sessions, server, names, left):
        await server(
            "DROP TABLE books",
            "CREATE TABLE books (id INTEGER PRIMARY KEY ON CONFLICT IGNORE, title TEXT, shelf_id INTEGER, file TEXT,"
            " deferred TEXT, kept TEXT, shared TEXT)",
            "INSERT INTO books (id, title) VALUES (2, 'there')",
        )
        await add_books(sessions, 1)
        await add_books(sessions, 2)
        assert await names() == ["1"]
        assert await left() == {"1"}

    @only_postgresql
    @pytest.mark.parametrize("kind", ["view", "partitioned"])
    async def test_other_things_than_tables(self, sessions, engine, server, names, left, kind):
        """The row does not stay where the models look for it."""
        await add_books(sessions, 1)
        drop = "CREATE FUNCTION helpers.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        async with sessions.begin() as session:
            for statement in ["CREATE SCHEMA helpers", drop, *THINGS[kind]]:
                await session.execute(text(statement))
            session.add(Book(id=2, file=pending("2")))
            await session.flush()
            await session.execute(text("SET LOCAL search_path TO public"))
        assert await names() == ["1"]
        assert await left() == {"1"}


THINGS = {
    "view": [
        "CREATE VIEW helpers.books AS SELECT * FROM public.books",
        "CREATE TRIGGER no INSTEAD OF INSERT ON helpers.books FOR EACH ROW EXECUTE FUNCTION helpers.no()",
        "SET LOCAL search_path TO helpers, public",
    ],
    "partitioned": [
        "CREATE TABLE helpers.books (LIKE public.books) PARTITION BY LIST (id)",
        "CREATE TABLE helpers.books_2 PARTITION OF helpers.books DEFAULT",
        "CREATE TRIGGER no BEFORE INSERT ON helpers.books_2 FOR EACH ROW EXECUTE FUNCTION helpers.no()",
        "SET LOCAL search_path TO helpers, public",
    ],
}


class TestTenants:
    """Tables of one name in two schemas: where a row is depends on the search_path."""

    @only_postgresql
    @pytest.mark.parametrize("end", ["commit", "rollback", "delete"])
    async def test_a_row_in_a_schema_of_the_search_path(self, engine, sessions, server, left, end):
        await server("CREATE SCHEMA helpers", "CREATE TABLE helpers.books (LIKE public.books INCLUDING ALL)")
        await add_books(sessions, 1)
        async with sessions() as session:
            await session.execute(text("SET LOCAL search_path TO helpers, public"))
            session.add(Book(id=2, file=pending("2")))
            await session.flush()
            await session.execute(text("SET LOCAL search_path TO public"))
            if end == "delete":
                await session.execute(text("DELETE FROM helpers.books"))
            await (session.rollback() if end == "rollback" else session.commit())
        assert await left() == ({"1", "2"} if end == "commit" else {"1"})

    @only_postgresql
    async def test_a_map_of_schemas(self, engine, sessions, server, left):
        await server("CREATE SCHEMA helpers", "CREATE TABLE helpers.books (LIKE public.books INCLUDING ALL)")
        await add_books(sessions, 1)
        translated = engine.execution_options(schema_translate_map={None: "helpers"})
        tenant = enable_file_tracking(async_sessionmaker(translated))
        async with tenant() as session:
            session.add(Book(id=2, file=pending("2")))
            await session.commit()
            await session.execute(delete(Book))
            await session.rollback()
        assert await left() == {"1", "2"}

    async def test_a_session_inside_of_a_connections_transaction(self, engine, track, names, left):
        sessions = track(async_sessionmaker(engine))
        await add_books(sessions, 1)
        async with engine.connect() as connection, connection.begin() as transaction:
            session = track(async_sessionmaker(class_=AsyncSession))(bind=connection)
            session.add(Book(id=2, file=pending("2")))
            await session.commit()
            await connection.exec_driver_sql("DELETE FROM books WHERE id = 2")
            await session.close()
            await transaction.commit()
        assert await names() == ["1"]
        assert await left() == {"1"}
