"""A file is removed only after the database has said that no row names it; where it cannot be asked, it stays."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from async_storages import InvalidArgumentException, StoredFile, events
from async_storages.integrations.sqlalchemy import FileList, FileListMapped, FileListType, FileMapped, FileType
from tests.integration.conftest import POSTGRES_DRIVER
from tests.integration.transactions.conftest import begin_with_begin
from tests.support.databases import MARIADB_DRIVER, cut_connection, only_postgresql, only_servers
from tests.support.documents import row_class
from tests.support.ledgers import forget_ledgers, only_level_1, only_level_2
from tests.support.named import kept_or_refused, named, saved
from tests.support.tracked import Album, Base, Book, Loan, indexes_json, pending

pytestmark = pytest.mark.matrix


def checked_at_commit(column, other):
    """A foreign key that the database checks at the COMMIT; MariaDB has none of these."""
    constraint = ForeignKeyConstraint([column], [other], deferrable=True, initially="DEFERRED")
    return constraint.ddl_if(dialect=("sqlite", "postgresql"))


class Own(DeclarativeBase):
    pass


class Paper(Own):
    __tablename__ = "papers"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None]
    tenant: Mapped[str | None] = mapped_column(String(20))
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"))
    __table_args__ = (
        checked_at_commit("parent_id", "papers.id"),
        Index("ix_papers_file", "file", mysql_length=255),
    )


class Folder(Own):
    __tablename__ = "paper_folders"
    id: Mapped[int] = mapped_column(primary_key=True)
    files: FileListMapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents"))
    __table_args__ = (
        Index("ix_paper_folders_files", "files", postgresql_using="gin", mysql_length=255).ddl_if(
            callable_=indexes_json
        ),
    )


history = Table(
    "paper_history",
    Own.metadata,
    Column("number", Integer, primary_key=True),
    Column("paper_id", Integer),
    Column("file", FileType("documents")),
    Index("ix_paper_history_file", "file", mysql_length=255),
)

checks_at_commit = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    forget_ledgers(Own.metadata)


@pytest.fixture
async def papers(track_metadata):
    """The sessions and the `left` of our own tables."""
    return await track_metadata(Own.metadata)


@pytest.fixture
def names(engine):
    return partial(named, engine, Own.metadata)


@pytest.fixture
async def server(engine):
    """Runs SQL as somebody else would; the schemas "tenant", "other" and "helpers" are removed in the end."""

    async def server(*statements):
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    yield server
    if engine.dialect.name == "postgresql":
        prepared = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
        async with autocommit(engine) as connection:
            for gid in list(await connection.scalars(text(prepared))):
                await connection.execute(text(f"ROLLBACK PREPARED '{gid}'"))
        await server("DROP SCHEMA IF EXISTS tenant, other, helpers CASCADE")
    if engine.dialect.name == "mysql":
        async with autocommit(engine) as connection:
            for xid in await prepared_on_mariadb(connection):
                await connection.exec_driver_sql(f"XA ROLLBACK {xid}")
        await server("DROP SCHEMA IF EXISTS tenant", "DROP SCHEMA IF EXISTS other")


async def prepared_on_mariadb(connection):
    """The quoted ids of its prepared transactions."""
    found = await connection.exec_driver_sql("XA RECOVER")
    return [f"'{row.data.decode() if isinstance(row.data, bytes) else row.data}'" for row in found]


def autocommit(engine):
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


async def add(sessions, *rows):
    async with sessions.begin() as session:
        session.add_all(rows)


# ---- two rows that name one file


async def delete_object(session, class_=Book):
    await session.delete(await session.get(class_, 1))


async def replace_object(session, class_=Book):
    (await session.get(class_, 1)).file = None


async def replace_by_content(session, class_=Book):
    (await session.get(class_, 1)).file = pending("new")


async def delete_in_bulk(session, class_=Book):
    await session.execute(delete(class_).where(class_.id == 1))


async def update_in_bulk(session, class_=Book):
    await session.execute(update(class_).where(class_.id == 1).values(file=None))


FIRST_GOES = {
    "deleted": delete_object,
    "set to None": replace_object,
    "replaced": replace_by_content,
    "bulk delete": delete_in_bulk,
    "bulk update": update_in_bulk,
}
SECOND = {
    "a second row": lambda file: Book(id=2, file=file),
    "another column": lambda file: Book(id=2, deferred=file),
    "two tables": lambda file: Loan(id=2, file=file),
    "a list": lambda file: Album(id=2, pages=[file]),
    "its bare key": lambda file: text(f"INSERT INTO loans (id, file) VALUES (2, '{file.name}')"),
}


@pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
class TestShared:
    """No option is set: it is the default that two rows may name one file."""

    @pytest.mark.parametrize("second", SECOND.values(), ids=SECOND.keys())
    async def test_kept_until_the_last_row_goes(self, engine, sessions, storage, left, go, second):
        await add(sessions, Book(id=1, file=pending("one")))
        async with sessions.begin() as session:
            other = second((await session.get(Book, 1)).file)
            if isinstance(other, Base):
                session.add(other)
            else:
                await session.execute(other)
        async with sessions.begin() as session:
            await go(session)
        assert await left() >= {"one"}
        assert "one" in await named(engine, Base.metadata)
        async with sessions.begin() as session:
            class_ = type(other) if isinstance(other, Base) else Loan
            await session.delete(await session.get(class_, 2))
        assert (
            await left() == set(await named(engine, Base.metadata)) == ({"new"} if go is replace_by_content else set())
        )

    async def test_a_copy_in_the_transaction_of_the_delete(self, engine, sessions, left, go):
        await add(sessions, Book(id=1, file=pending("one")))
        async with sessions.begin() as session:
            session.add(Loan(id=2, file=(await session.get(Book, 1)).file))
            await go(session)
        assert "one" in await left() & set(await named(engine, Base.metadata))

    async def test_kept_after_a_rollback(self, engine, sessions, left, go):
        """The session that gives up one row rolls back, and both still name the file."""
        await add(sessions, Book(id=1, file=pending("one")))
        async with sessions.begin() as session:
            session.add(Loan(id=2, file=(await session.get(Book, 1)).file))
        async with sessions() as session:
            await go(session)
            await session.flush()
            await session.rollback()
        assert await named(engine, Base.metadata) == ["one", "one"]
        assert await left() == {"one"}

    async def test_two_columns_of_one_row(self, engine, sessions, storage, left, go):
        file = await saved(storage, "one")
        await add(sessions, Book(id=1, file=file, deferred=file))
        async with sessions.begin() as session:
            await go(session)
        is_deleted = go in {delete_object, delete_in_bulk}
        assert ("one" in await left()) is not is_deleted
        assert ("one" in await named(engine, Base.metadata)) is not is_deleted


class TestSharedAtOnce:
    async def test_both_rows_go_in_one_transaction(self, sessions, storage, left):
        file = await saved(storage, "one")
        await add(sessions, Book(id=1, file=file), Loan(id=1, file=file))
        async with sessions.begin() as session:
            await delete_object(session, Book)
            await delete_object(session, Loan)
        assert await left() == set()

    async def test_both_rows_go_by_one_statement(self, sessions, storage, left):
        file = await saved(storage, "one")
        await add(sessions, Book(id=1, file=file), Book(id=2, file=file))
        async with sessions.begin() as session:
            await session.execute(delete(Book))
        assert await left() == set()

    async def test_a_clone_that_is_rolled_back(self, engine, sessions, left):
        await add(sessions, Book(id=1, file=pending("one")))
        async with sessions() as session:
            session.add(Book(id=2, file=(await session.get(Book, 1)).file))
            await session.flush()
            await session.rollback()
        assert await named(engine, Base.metadata) == ["one"]
        assert await left() == {"one"}

    async def test_a_clone_in_a_savepoint_that_is_rolled_back(self, engine, sessions, storage, left):
        file = await saved(storage, "one")
        async with sessions.begin() as session:
            session.add(Book(id=1, file=file))
            await session.flush()
            inner = await session.begin_nested()
            session.add(Loan(id=2, file=file))
            await session.flush()
            await inner.rollback()
        assert await named(engine, Base.metadata) == ["one"]
        assert await left() == {"one"}

    async def test_an_element_of_two_lists(self, engine, sessions, storage, left):
        file = await saved(storage, "one")
        await add(sessions, Album(id=1, pages=[file, await saved(storage, "two")]), Album(id=2, pages=[file]))
        async with sessions.begin() as session:
            album = await session.get(Album, 1)
            album.pages.clear()
        assert await named(engine, Base.metadata) == ["one"]
        assert await left() == {"one"}
        async with sessions.begin() as session:
            await session.execute(delete(Album))
        assert await left() == set()

    @only_postgresql
    async def test_an_array(self, engine, storage, track_metadata):
        class Arrays(DeclarativeBase):
            pass

        row = type(
            "Row",
            (Arrays,),
            {
                "__tablename__": "arrays",
                "id": Column(Integer, primary_key=True),
                "file": Column(FileType("documents")),
                "files": Column(ARRAY(FileType("documents"))),
            },
        )
        sessions, left = await track_metadata(Arrays.metadata)
        file = await saved(storage, "one")
        await add(sessions, row(id=1, file=file), row(id=2, files=[file]))
        async with sessions.begin() as session:
            await delete_object(session, row)
        assert await named(engine, Arrays.metadata) == ["one"]
        assert await left() == {"one"}
        async with sessions.begin() as session:
            (await session.get(row, 2)).files = []
        assert await left() == set()


class TestOptions:
    @only_level_1
    async def test_exclusive_columns_are_not_asked_about(self, engine, track_metadata):
        """The user has said that no other row names the file: nothing is looked through."""
        row = row_class(file=Column(FileType("documents", exclusive=True)), other=Column(FileType("documents")))
        sessions, left = await track_metadata(row.metadata)
        await add(sessions, row(id=1, file=pending("one")), row(id=2, other=pending("two")))
        asked = []

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def see(connection, cursor, statement, *_):
            if statement.startswith("SELECT") and '"other"' in statement.replace("`", '"'):
                asked.append(statement)

        for number, is_asked in ((1, False), (2, True)):
            async with sessions.begin() as session:
                found = await session.get(row, number)
                found.file = found.other = None
            assert bool(asked) is is_asked
        event.remove(engine.sync_engine, "before_cursor_execute", see)
        assert await left() == set()

    async def test_shared_changes_nothing(self, engine, storage, track_metadata):
        row = row_class(file=Column(FileType("documents", shared=True)), other=Column(FileType("documents")))
        sessions, left = await track_metadata(row.metadata)
        file = await saved(storage, "one")
        await add(sessions, row(id=1, file=file), row(id=2, other=file))
        async with sessions.begin() as session:
            await delete_object(session, row)
        assert await named(engine, row.metadata) == ["one"]
        assert await left() == {"one"}
        async with sessions.begin() as session:
            await session.execute(delete(row))
        assert await left() == set()

    @only_level_1
    async def test_a_column_without_an_index_is_told_of_once(self, sessions, caplog):
        """Looking through it takes as long as the table is large."""
        for _ in range(3):
            await add(sessions, Book(id=1, file=pending("one")))
            async with sessions.begin() as session:
                await delete_object(session)
        told = [each.getMessage() for each in caplog.records if "index" in each.getMessage()]
        assert sum(message.count("loans.file") for message in told) <= 1
        assert sum("books.file" in message for message in told) <= 1


async def by_core(session, file):
    await session.execute(insert(history).values(number=1, paper_id=1, file=file))


async def by_connection(session, file):
    await (await session.connection()).execute(insert(history).values(number=1, paper_id=1, file=file))


async def by_text(session, file):
    await session.execute(text("INSERT INTO paper_history SELECT 1, id, file FROM papers WHERE id = 1"))


async def by_trigger(session, file):
    """The database writes the history itself, when the row changes."""


TRIGGERS = {
    "sqlite": [
        f"CREATE TRIGGER h{name} {event_} ON papers FOR EACH ROW WHEN OLD.file IS NOT NULL BEGIN"
        " INSERT INTO paper_history (paper_id, file) VALUES (OLD.id, OLD.file); END"
        for name, event_ in (("delete", "BEFORE DELETE"), ("update", "AFTER UPDATE OF file"))
    ],
    "postgresql": [
        "CREATE SCHEMA helpers",
        """CREATE FUNCTION helpers.remember() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO paper_history (paper_id, file) VALUES (OLD.id, OLD.file); RETURN NULL; END $$""",
        """CREATE TRIGGER remember AFTER UPDATE OR DELETE ON papers FOR EACH ROW
        WHEN (OLD.file IS NOT NULL) EXECUTE FUNCTION helpers.remember()""",
    ],
    "mysql": [
        f"CREATE TRIGGER h{name} {event_} ON papers FOR EACH ROW INSERT INTO paper_history (paper_id, file)"
        " SELECT OLD.id, OLD.file FROM DUAL WHERE OLD.file IS NOT NULL"
        for name, event_ in (("delete", "BEFORE DELETE"), ("update", "AFTER UPDATE"))
    ],
}


class TestHistory:
    """Old versions of rows are kept in a plain table of the same MetaData."""

    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    @pytest.mark.parametrize("write", [by_core, by_connection, by_text, by_trigger])
    async def test_kept_until_the_history_goes(self, engine, papers, server, names, level, write, go):
        sessions, left = papers
        if write is by_trigger:
            await server(*TRIGGERS[engine.dialect.name])
        await add(sessions, Paper(id=1, file=pending("one")))
        async with kept_or_refused(level if write is by_connection else 1), sessions.begin() as session:
            await write(session, (await session.get(Paper, 1)).file)
            await go(session, Paper)
        assert "one" in await names()
        assert "one" in await left()
        async with sessions.begin() as session:
            await session.execute(delete(Paper))
            await session.execute(delete(history))
        async with sessions.begin() as session:  # the trigger has remembered them once more
            await session.execute(delete(history))
        assert await left() == set()


# ---- other hands


async def by_text_in_the_session(session, sessions, engine):
    await session.execute(text("INSERT INTO loans (id, file) SELECT 2, file FROM books WHERE id = 1"))


async def by_text_update(session, sessions, engine):
    await session.execute(text("INSERT INTO loans (id) VALUES (2)"))
    await session.execute(text("UPDATE loans SET file = (SELECT file FROM books WHERE id = 1) WHERE id = 2"))


async def by_core_on_its_connection(session, sessions, engine):
    connection = await session.connection()
    file = await connection.scalar(select(Book.__table__.c.file))
    await connection.execute(insert(Loan.__table__).values(id=2, file=file))


async def by_core_on_another_connection(session, sessions, engine):
    async with engine.begin() as connection:
        file = await connection.scalar(select(Book.__table__.c.file))
        await connection.execute(insert(Loan.__table__).values(id=2, file=file))


async def by_an_untracked_session(session, sessions, engine):
    async with AsyncSession(engine) as other, other.begin():
        other.add(Loan(id=2, file=await other.scalar(select(Book.file))))


async def by_another_session(session, sessions, engine):
    async with sessions.begin() as other:
        other.add(Loan(id=2, file=await other.scalar(select(Book.file))))


async def by_the_orm(session, sessions, engine):
    session.add(Loan(id=2, file=await session.scalar(select(Book.file))))


async def by_bulk_save_objects(session, sessions, engine):
    loan = Loan(id=2, file=await session.scalar(select(Book.file)))
    await session.run_sync(lambda sync: sync.bulk_save_objects([loan]))


async def by_insert_from_select(session, sessions, engine):
    await session.execute(insert(Loan).from_select(["id", "file"], select(Book.id + 1, Book.file)))


MOVES = [
    by_text_in_the_session,
    by_text_update,
    by_core_on_its_connection,
    by_core_on_another_connection,
    by_an_untracked_session,
    by_another_session,
    by_the_orm,
    by_bulk_save_objects,
    by_insert_from_select,
]
REFUSABLE = {by_core_on_its_connection, by_bulk_save_objects, by_insert_from_select}


class TestMoves:
    """An id got to another row by whatever statement, then the first row goes."""

    @pytest.mark.parametrize("is_one_transaction", [True, False], ids=["one transaction", "two"])
    @pytest.mark.parametrize("go", [delete_object, delete_in_bulk, replace_by_content])
    @pytest.mark.parametrize("move", MOVES)
    async def test_kept(self, engine, sessions, level, left, move, go, is_one_transaction):
        await add(sessions, Book(id=1, file=pending("one")))
        async with kept_or_refused(level if move in REFUSABLE else 1), sessions() as session:
            await move(session, sessions, engine)
            if not is_one_transaction:
                await session.commit()
            await go(session)
            await session.commit()
        assert "one" in await named(engine, Base.metadata)
        assert "one" in await left()

    @pytest.mark.parametrize("write", ["ORM", "Core", "text"])
    @pytest.mark.parametrize("end", ["rollback", "close", "IntegrityError"])
    async def test_a_result_of_save_that_an_untracked_session_committed(
        self, engine, sessions, storage, left, write, end
    ):
        file = await saved(storage, "one")
        if write == "ORM":
            async with AsyncSession(engine) as other, other.begin():
                other.add(Book(id=1, file=file))
        else:
            by_core = insert(Book.__table__).values(id=1, file=file)
            by_hand = text(f"INSERT INTO books (id, file) VALUES (1, '{file.file_id}')")
            async with engine.begin() as connection:
                await connection.execute(by_core if write == "Core" else by_hand)
        async with sessions() as session:
            session.add(Loan(id=2, file=file))
            await session.flush()
            if end == "rollback":
                await session.rollback()
            elif end == "IntegrityError":
                session.add_all([Book(title="same"), Book(title="same")])
                with pytest.raises(IntegrityError):
                    await session.commit()
        assert await named(engine, Base.metadata) == ["one"]
        assert await left() == {"one"}

    async def test_a_row_of_somebody_else_after_a_rollback(self, engine, sessions, storage, left):
        """The tracked session ends first; only then the file is named for good."""
        file = await saved(storage, "one")
        async with sessions() as session:
            session.add(Loan(id=2, file=file))
            await session.flush()
            await session.execute(delete(Loan))
            await session.execute(text("INSERT INTO books (id, file) VALUES (1, :file)"), {"file": file.file_id})
            await session.commit()
        assert await named(engine, Base.metadata) == ["one"]
        assert await left() == {"one"}


# ---- schemas


@asynccontextmanager
async def of_the_engine(engine, sessions, schema):
    async with sessions(bind=engine.execution_options(schema_translate_map={None: schema})) as session:
        yield session
        await session.commit()


@asynccontextmanager
async def of_the_session(engine, sessions, schema):
    async with sessions.begin() as session:
        await session.connection(execution_options={"schema_translate_map": {None: schema}})
        yield session


@asynccontextmanager
async def of_the_connection(engine, sessions, schema):
    async with engine.connect() as connection:
        await connection.execution_options(schema_translate_map={None: schema})
        async with sessions(bind=connection) as session:
            yield session
            await session.commit()


@asynccontextmanager
async def of_an_outer_transaction(engine, sessions, schema):
    async with engine.begin() as connection:
        await connection.execution_options(schema_translate_map={None: schema})
        async with sessions(bind=connection, join_transaction_mode="create_savepoint") as session:
            yield session
            await session.commit()


@asynccontextmanager
async def of_the_search_path(engine, sessions, schema):
    async with sessions.begin() as session:
        await session.execute(text(f"SET LOCAL search_path TO {schema}, public"))
        yield session


@asynccontextmanager
async def of_the_search_path_of_the_connection(engine, sessions, schema):
    async with engine.connect() as connection:
        await connection.execute(text(f"SET search_path TO {schema}, public"))
        await connection.commit()
        async with sessions(bind=connection) as session:
            yield session
            await session.commit()
        await connection.execute(text("RESET search_path"))
        await connection.commit()


@asynccontextmanager
async def of_the_current_database(engine, sessions, schema):
    """That of MariaDB, whose schemas are databases."""
    async with engine.connect() as connection:
        await connection.execute(text(f"USE {schema}"))
        await connection.commit()
        try:
            async with sessions(bind=connection) as session:
                yield session
                await session.commit()
        finally:
            await connection.invalidate()


def on_servers(*where):
    """Ways to name a schema, each on the servers that have it."""
    only = {
        of_the_search_path: ["postgresql"],
        of_the_search_path_of_the_connection: ["postgresql"],
        of_the_current_database: ["mariadb"],
    }
    cases = [(database, each) for each in where for database in only.get(each, ["postgresql", "mariadb"])]
    return pytest.mark.parametrize(("database_url", "where"), cases, indirect=["database_url"])


everywhere = on_servers(
    of_the_engine,
    of_the_session,
    of_the_connection,
    of_an_outer_transaction,
    of_the_search_path,
    of_the_search_path_of_the_connection,
    of_the_current_database,
)


class TestSchemas:
    """Each tenant has the tables in a schema of its own; those of the default schema are empty."""

    @pytest.fixture(autouse=True)
    async def _schemas(self, engine, server, papers):
        for schema in ("tenant", "other"):
            await server(f"CREATE SCHEMA {schema}")
            async with engine.begin() as connection:
                await connection.execution_options(schema_translate_map={None: schema})
                tables = [Paper.__table__, Folder.__table__, history]
                await connection.run_sync(Own.metadata.create_all, tables=tables)

    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    @everywhere
    async def test_kept_until_the_last_row_goes(self, engine, papers, storage, level, names, where, go):
        sessions, left = papers
        async with kept_or_refused(level):
            async with where(engine, sessions, "tenant") as session:
                file = await saved(storage, "one")
                session.add_all([Paper(id=1, file=file), Paper(id=2, file=file)])
            async with where(engine, sessions, "tenant") as session:
                await go(session, Paper)
            assert "one" in await names(schema_translate_map={None: "tenant"})
            assert "one" in await left()
            async with where(engine, sessions, "tenant") as session:
                await session.execute(delete(Paper).where(Paper.id == 2))
            assert await left() == ({"new"} if go is replace_by_content else set())
        await names(schema_translate_map={None: "tenant"})

    @everywhere
    async def test_a_list_and_a_history(self, engine, papers, storage, level, names, where):
        sessions, left = papers
        async with kept_or_refused(level):
            async with where(engine, sessions, "tenant") as session:
                one, two = await saved(storage, "one"), await saved(storage, "two")
                session.add_all([Paper(id=1, file=one), Paper(id=2, file=two), Folder(id=1, files=[one])])
                await session.flush()
                await session.execute(insert(history).values(number=1, paper_id=2, file=two))
            async with where(engine, sessions, "tenant") as session:
                await session.execute(delete(Paper))
            assert await left() == {"one", "two"}
            assert await names(schema_translate_map={None: "tenant"}) == ["one", "two"]
            async with where(engine, sessions, "tenant") as session:
                await session.execute(delete(history))
                await session.delete(await session.get(Folder, 1))
            assert await left() == set()
        await names(schema_translate_map={None: "tenant"})

    @everywhere
    async def test_rollback(self, engine, papers, storage, level, names, where):
        """A file that a committed row there names is not new, whatever the session thinks."""
        sessions, left = papers
        file = await saved(storage, "one")
        async with engine.begin() as connection:
            await connection.execution_options(schema_translate_map={None: "tenant"})
            await connection.execute(insert(Paper.__table__).values(id=1, file=file))
        with suppress(Stop):
            async with kept_or_refused(level), where(engine, sessions, "tenant") as session:
                session.add(Paper(id=2, file=file))
                await session.flush()
                raise Stop
        assert await names(schema_translate_map={None: "tenant"}) == ["one"]
        assert level == 2 or await left() == {"one"}  # a ledger has refused to know of it

    @only_postgresql
    async def test_two_schemas_in_one_transaction_by_search_path(self, engine, papers, storage, level, names):
        sessions, left = papers
        one, two = await saved(storage, "one"), await saved(storage, "two")
        async with kept_or_refused(level):
            async with sessions.begin() as session:
                await session.execute(text("SET LOCAL search_path TO tenant, public"))
                session.add_all([Paper(id=1, file=one), Paper(id=2, file=one)])
                await session.flush()
                session.expunge_all()
                await session.execute(text("SET LOCAL search_path TO other, public"))
                session.add(Paper(id=1, file=two))
            async with sessions.begin() as session:
                await session.execute(text("SET LOCAL search_path TO tenant, public"))
                await delete_in_bulk(session, Paper)
                await session.execute(text("SET LOCAL search_path TO other, public"))
                await delete_in_bulk(session, Paper)
            assert "one" in await left()
        await names(schema_translate_map={None: "tenant"})
        await names(schema_translate_map={None: "other"})

    @only_servers
    async def test_two_schemas_in_one_transaction_by_statement(self, engine, papers, storage, level, names):
        sessions, left = papers
        one, two = await saved(storage, "one"), await saved(storage, "two")
        tenant, other = [{"schema_translate_map": {None: schema}} for schema in ("tenant", "other")]
        async with kept_or_refused(level):
            async with sessions.begin() as session:
                await session.execute(insert(Paper).values(id=1, file=one), execution_options=tenant)
                await session.execute(insert(Paper).values(id=2, file=one), execution_options=tenant)
                await session.execute(insert(Paper).values(id=1, file=two), execution_options=other)
            async with sessions.begin() as session:
                for options in (tenant, other):
                    statement = delete(Paper).where(Paper.id == 1)
                    await session.execute(statement, execution_options=options)
            assert "one" in await left()
        await names(schema_translate_map={None: "tenant"})
        await names(schema_translate_map={None: "other"})

    @on_servers(of_the_engine, of_the_session, of_the_search_path, of_the_current_database)
    @pytest.mark.parametrize("go", [delete_object, replace_by_content])
    async def test_the_answer_lost_at_commit(self, engine, papers, storage, level, names, where, go):
        """The database has committed; nothing that its rows name may go, wherever they are."""
        sessions, left = papers
        async with kept_or_refused(level):
            async with where(engine, sessions, "tenant") as session:
                session.add_all([Paper(id=1, file=pending("one")), Paper(id=3, file=pending("three"))])
            with suppress(Stop):
                async with where(engine, sessions, "tenant") as session:
                    await go(session, Paper)
                    session.add(Paper(id=2, file=pending("two")))
                    await session.flush()
                    await lose_the_answer(session)
            found = await names(schema_translate_map={None: "tenant"})
            assert found == (["new", "three", "two"] if go is replace_by_content else ["three", "two"])
            assert set(found) <= await left()
        await names(schema_translate_map={None: "tenant"})

    @only_postgresql
    @pytest.mark.parametrize("where", [of_the_engine, of_the_session])
    async def test_a_commit_that_failed(self, engine, papers, storage, level, names, where):
        sessions, left = papers
        async with kept_or_refused(level):
            async with where(engine, sessions, "tenant") as session:
                session.add(Paper(id=1, file=pending("one")))
            with suppress(IntegrityError):
                async with where(engine, sessions, "tenant") as session:
                    (await session.get(Paper, 1)).file = pending("new")
                    session.add(Paper(id=2, parent_id=99))
            assert await names(schema_translate_map={None: "tenant"}) == ["one"]
            assert await left() == {"one"}
        await names(schema_translate_map={None: "tenant"})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestAttachedDatabases:
    """Attached databases, the schemas of SQLite."""

    async def test_kept_until_the_last_row_goes(self, engine, papers, storage, level, names, tmp_path):
        sessions, left = papers
        await engine.dispose()

        @event.listens_for(engine.sync_engine, "connect")
        def attach(connection, record):
            cursor = connection.cursor()
            cursor.execute(f"ATTACH DATABASE '{tmp_path / 'tenant.sqlite'}' AS tenant")
            cursor.close()

        there = {"schema_translate_map": {None: "tenant"}}
        async with engine.begin() as connection:
            await connection.execution_options(**there)
            await connection.run_sync(Own.metadata.create_all, tables=[Paper.__table__, Folder.__table__, history])
        async with kept_or_refused(level):
            async with sessions(bind=engine.execution_options(**there)) as session:
                file = await saved(storage, "one")
                session.add_all([Paper(id=1, file=file), Paper(id=2, file=file)])
                await session.commit()
                await delete_object(session, Paper)
                await session.commit()
                assert await names(**there) == ["one"]
                assert await left() == {"one"}
                await session.execute(delete(Paper))
                await session.commit()
            assert await left() == set()
        await names(**there)


class Stop(Exception):
    """An error that ends a transaction early."""


async def lose_the_answer(session):
    """Let the next commit reach the database, whose answer nobody hears."""
    dialect = (await session.connection()).dialect
    commit = dialect.do_commit

    def commit_and_fail(connection):
        dialect.do_commit = commit
        commit(connection)
        raise Stop

    dialect.do_commit = commit_and_fail


# ---- rows that a session may not see


ROLE = "papers_clerk"
POLICY = "tenant = current_setting('app.tenant', true)"


@pytest.fixture
async def clerk(engine, server, database_url):
    """An engine whose connections are of a role that owns nothing and bypasses nothing."""
    if engine.dialect.name == "mysql":
        await server(f"CREATE USER {ROLE}")
        clerk = create_async_engine(engine.url.set(username=ROLE))
        yield clerk
        await clerk.dispose()
        await server(f"DROP USER {ROLE}")
        return
    await server(f"CREATE ROLE {ROLE} NOLOGIN", f"GRANT USAGE ON SCHEMA public TO {ROLE}")
    clerk = create_async_engine(database_url)

    @event.listens_for(clerk.sync_engine, "connect")
    def become(connection, record):
        cursor = connection.cursor()
        cursor.execute(f"SET ROLE {ROLE}")
        cursor.close()
        connection.commit()

    yield clerk
    await clerk.dispose()
    await server(f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


async def as_tenant(session, name):
    await session.execute(select(func.set_config("app.tenant", name, True)))


@only_postgresql
class TestRowLevelSecurity:
    @pytest.fixture(autouse=True)
    async def _policy(self, papers, server, clerk):
        await server(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}",
            "ALTER TABLE papers ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY own_rows ON papers USING ({POLICY})",
        )

    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    async def test_a_row_that_is_hidden_keeps_its_file(self, clerk, papers, storage, names, level, go):
        sessions, left = papers
        file = await saved(storage, "one")
        await add(sessions, Paper(id=1, tenant="a", file=file), Paper(id=2, tenant="b", file=file))
        async with kept_or_refused(level), sessions(bind=clerk) as session:
            await as_tenant(session, "a")
            await go(session, Paper)
            await session.commit()
        assert "one" in await names()
        assert "one" in await left()

    @only_level_1
    async def test_what_cannot_be_asked_is_told(self, clerk, papers, storage, names, monkeypatch, caplog):
        """A row may be there that names it: it stays, for a sweep or for good."""
        sessions, left = papers
        await add(sessions, Paper(id=1, tenant="a", file=pending("one")))
        seen = []
        monkeypatch.setattr(events, "hooks", [seen.append])
        async with sessions(bind=clerk) as session:
            await as_tenant(session, "a")
            await delete_object(session, Paper)
            await session.commit()
        assert await left() == {"one"}
        assert [each.outcome for each in seen if each.operation == "keep"] == ["ok"]
        assert "one" in caplog.text

    async def test_those_who_see_all_rows_remove_files(self, engine, papers, names):
        sessions, left = papers
        await add(sessions, Paper(id=1, tenant="a", file=pending("one")))
        async with sessions.begin() as session:
            await delete_object(session, Paper)
        assert await left() == set()

    async def test_rollback(self, clerk, papers, storage, names, level):
        sessions, left = papers
        file = await saved(storage, "one")
        await add(sessions, Paper(id=2, tenant="b", file=file))
        async with kept_or_refused(level), sessions(bind=clerk) as session:
            await as_tenant(session, "a")
            session.add(Paper(id=1, tenant="a", file=file))
            await session.flush()
            await session.rollback()
        assert await names() == ["one"]
        assert await left() == {"one"}

    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    async def test_the_answer_lost_at_commit(self, clerk, papers, names, level, go):
        """`app.tenant` was set for the transaction alone: nobody can ask as it would have."""
        sessions, left = papers
        await add(sessions, Paper(id=1, tenant="a", file=pending("one")))
        with suppress(Stop):
            async with kept_or_refused(level), sessions(bind=clerk) as session:
                await as_tenant(session, "a")
                session.add(Paper(id=2, tenant="a", file=pending("two")))
                await go(session, Paper)
                await session.flush()
                await lose_the_answer(session)
                await session.commit()
        await clerk.dispose()
        found = await names()
        assert found
        assert set(found) <= await left()


class TestUnasked:
    """A table that cannot be looked through is no reason to lose a file, nor to lose a transaction."""

    @only_level_1
    async def test_a_table_that_is_not_there_yet(self, engine, papers, server, monkeypatch, caplog):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        await server("DROP TABLE paper_folders")
        monkeypatch.setattr(events, "hooks", seen := [])
        told = []
        seen.append(told.append)
        async with sessions.begin() as session:
            await delete_object(session, Paper)
        async with sessions() as session:
            assert await session.get(Paper, 1) is None
        if await left():
            assert [each.outcome for each in told if each.operation == "remove"] not in ([], ["ok"])
            assert "one" in caplog.text

    @only_level_1
    @only_servers
    async def test_a_table_that_the_role_may_not_read(self, engine, clerk, papers, server, storage, names, caplog):
        sessions, left = papers
        await server(f"GRANT SELECT, INSERT, UPDATE, DELETE ON papers TO {ROLE}")
        file = await saved(storage, "one")
        await add(sessions, Paper(id=1, file=file), Folder(id=1, files=[file]))
        async with sessions(bind=clerk) as session:
            await delete_object(session, Paper)
            await session.commit()
        assert await names() == ["one"]
        assert await left() == {"one"}
        assert "one" in caplog.text

    @only_level_1
    async def test_a_rollback_that_cannot_ask(self, engine, papers, server, names):
        sessions, left = papers
        async with sessions() as session:
            session.add(Paper(id=1, file=pending("one")))
            await session.flush()
            await session.rollback()
        assert await names() == []
        assert await left() == set()


# ---- commits whose outcome is not what it seemed


class TestAutocommit:
    @pytest.fixture(params=["engine", "session"])
    async def autocommitting(self, request, database_url, papers):
        """Sessions whose statements are final at once, and their engine."""
        sessions, _ = papers
        other = create_async_engine(database_url, isolation_level="AUTOCOMMIT" if request.param == "engine" else None)

        @asynccontextmanager
        async def open_session():
            async with sessions(bind=other) as session:
                if request.param == "session":
                    await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
                yield session

        yield open_session
        await other.dispose()

    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    async def test_then_rollback(self, papers, names, level, autocommitting, go):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        async with kept_or_refused(level), autocommitting() as session:
            session.add(Paper(id=2, file=pending("two")))
            await session.flush()
            await go(session, Paper)
            await session.flush()
            await session.rollback()
        found = await names()
        assert set(found) <= await left()
        assert level == 2 or "two" in found

    @pytest.mark.parametrize("end", ["close", "exception"])
    async def test_then_nothing(self, papers, names, level, autocommitting, end):
        _, left = papers
        with suppress(Stop):
            async with kept_or_refused(level), autocommitting() as session:
                session.add(Paper(id=2, file=pending("two")))
                await session.flush()
                if end == "exception":
                    raise Stop
        found = await names()
        assert found == (["two"] if level == 1 else found)
        assert set(found) <= await left()

    async def test_commit(self, papers, names, level, autocommitting):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        async with kept_or_refused(level) as attempt, autocommitting() as session:
            (await session.get(Paper, 1)).file = pending("new")
            await session.commit()
        assert await names() == (["one"] if attempt.is_refused else ["new"])
        assert set(await names()) <= await left()

    @only_level_2
    @only_servers
    async def test_a_ledger_refuses_it(self, autocommitting):
        """On SQLite it begins a transaction of its own accord."""
        async with autocommitting() as session:
            session.add(Paper(id=2, file=pending("two")))
            with pytest.raises(InvalidArgumentException, match="isolation_level"):
                await session.flush()

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_a_driver_that_commits_of_its_own_accord(self, database_url, papers, names, level):
        """Half of the recipe for savepoints: `isolation_level = None` without a BEGIN."""
        sessions, left = papers
        other = create_async_engine(database_url)

        @event.listens_for(other.sync_engine, "connect")
        def commit_at_once(connection, record):
            connection.isolation_level = None

        await add(sessions, Paper(id=1, file=pending("one")))
        async with kept_or_refused(level), sessions(bind=other) as session:
            session.add(Paper(id=2, file=pending("two")))
            (await session.get(Paper, 1)).file = pending("new")
            await session.flush()
            await session.rollback()
        await other.dispose()
        found = await names()
        assert level == 2 or found == ["new", "two"]
        assert set(found) <= await left()


async def violate(session):
    """Constraints that the database checks at the COMMIT."""
    session.add(Paper(id=9, parent_id=99))


class TestLateFailures:
    """A deferred constraint: every statement succeeds, and COMMIT fails."""

    @checks_at_commit
    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    async def test_a_session_of_its_own(self, engine, papers, names, go):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        async with sessions() as session:
            await go(session, Paper)
            session.add(Paper(id=2, file=pending("two")))
            await violate(session)
            with pytest.raises(IntegrityError):
                await session.commit()
        await engine.dispose()  # on SQLite the transaction of a COMMIT that failed stays open
        assert await names() == ["one"]
        assert await left() == {"one"}

    @checks_at_commit
    @pytest.mark.parametrize("mode", ["conditional_savepoint", "create_savepoint", "rollback_only"])
    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    async def test_a_session_inside_the_begin_of_an_engine(self, engine, papers, names, go, mode):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        async with engine.connect() as connection:
            outer = await connection.begin()
            async with sessions(bind=connection, join_transaction_mode=mode) as session:
                await go(session, Paper)
                session.add(Paper(id=2, file=pending("two")))
                await violate(session)
                await session.commit()
            with pytest.raises(IntegrityError):
                await outer.commit()
        await engine.dispose()
        assert await names() == ["one"]
        assert await left() == {"one"}

    @only_postgresql
    async def test_a_connection_that_goes_on_afterwards(self, engine, papers, names):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        async with engine.connect() as connection:
            outer = await connection.begin()
            async with sessions(bind=connection) as session:
                (await session.get(Paper, 1)).file = pending("two")
                await violate(session)
                await session.commit()
            with pytest.raises(IntegrityError):
                await outer.commit()
            await connection.rollback()
            await (await connection.begin()).commit()
            async with sessions(bind=connection) as session:
                session.add(Paper(id=3, file=pending("three")))
                await session.commit()
        await engine.dispose()
        found = await names()
        assert "one" in found
        assert set(found) <= await left()

    @checks_at_commit
    async def test_two_sessions_inside_one_transaction(self, engine, papers, names):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))

        async def work():
            async with engine.begin() as connection:
                for name in ("two", "three"):
                    async with sessions(bind=connection) as session:
                        (await session.get(Paper, 1)).file = pending(name)
                        await session.commit()
                await connection.execute(insert(Paper.__table__).values(id=9, parent_id=99))

        with pytest.raises(IntegrityError):
            await work()
        await engine.dispose()
        assert await names() == ["one"]
        assert await left() == {"one"}

    async def test_the_commit_of_the_connection_succeeds(self, engine, papers, names):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        async with engine.begin() as connection, sessions(bind=connection) as session:
            (await session.get(Paper, 1)).file = pending("two")
            await session.commit()
        assert await names() == ["two"]
        assert await left() == {"two"}


class Elsewhere(DeclarativeBase):
    pass


class Note(Elsewhere):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None]
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"))
    __table_args__ = (checked_at_commit("parent_id", "notes.id"),)


class TestTwoBinds:
    @pytest.fixture
    def second_url(self, request, database_url, tmp_path):
        if database_url.startswith("sqlite"):
            yield f"sqlite+aiosqlite:///{tmp_path / 'second.sqlite'}"
            return
        server = request.getfixturevalue("mariadb" if database_url.startswith("mysql") else "postgres")
        server.create_database("second")
        url = server.url("second").replace("+asyncmy", f"+{MARIADB_DRIVER}")
        yield url.replace("+asyncpg", f"+{POSTGRES_DRIVER}")
        server.drop_database("second")

    @pytest.fixture
    async def second(self, engine, second_url):
        """An engine of a second database, with the table of notes."""
        second = create_async_engine(second_url)
        if second.dialect.name == "sqlite":
            begin_with_begin(second.sync_engine)
        async with second.begin() as connection:
            await connection.run_sync(Elsewhere.metadata.create_all)
        async with engine.connect() as connection:  # or else both are one database
            assert not await connection.run_sync(lambda connection: inspect(connection).has_table(Note.__tablename__))
        yield second
        await second.dispose()
        forget_ledgers(Elsewhere.metadata)

    @pytest.fixture
    def notes(self, second):
        return partial(named, second, Elsewhere.metadata)

    @pytest.mark.parametrize("note_first", [True, False], ids=["the failing one first", "the failing one last"])
    async def test_the_second_commit_fails(self, engine, second, papers, names, notes, level, note_first):
        sessions, left = papers
        binds = {Paper: engine, Note: second}
        await add(sessions, Paper(id=1, file=pending("one")))
        async with kept_or_refused(level) as attempt:
            async with sessions(binds=binds) as session:
                session.add(Note(id=1, file=pending("note")))
                await session.commit()
            async with sessions(binds=binds) as session:
                if note_first:
                    note = await session.get(Note, 1)
                paper = await session.get(Paper, 1)
                note = await session.get(Note, 1)
                paper.file, note.file, note.parent_id = pending("two"), pending("new note"), 99
                await session.flush()
                if second.dialect.name == "mysql":  # which has checked all constraints by now
                    await cut_connection(second, await session.connection(bind_arguments={"mapper": Note}))
                with pytest.raises(DBAPIError):
                    await session.commit()
        await engine.dispose()
        await second.dispose()
        found, found_notes = await names(), await notes()
        assert found in ([["one"]] if attempt.is_refused else [["one"], ["two"]])
        assert attempt.is_refused or found_notes == ["note"]
        assert level == 2 or set(found + found_notes) <= await left()

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    async def test_one_file_in_two_databases(self, engine, second, papers, names, notes, level, storage, end):
        """A file that one transaction names may be dropped by the other."""
        sessions, left = papers
        binds = {Paper: engine, Note: second}
        file = await saved(storage, "one")
        async with kept_or_refused(level):
            async with sessions(binds=binds) as session:
                session.add_all([Paper(id=1, file=file), Note(id=1, file=file)])
                await session.commit()
            async with sessions(binds=binds) as session:
                await delete_object(session, Paper)
                await session.execute(select(Note))
                await session.commit() if end == "commit" else await session.rollback()
        assert set(await names() + await notes()) <= (await left() if level == 1 else {"one"})


@only_servers
class TestServerStillCommitting:
    """The connection breaks while the server has not answered COMMIT, which then succeeds."""

    LOCK = 4711

    async def wait_at_commit(self, server):
        """Let PostgreSQL wait for a lock at the COMMIT; MariaDB has such a lock."""
        await server(
            "CREATE SCHEMA helpers",
            "CREATE FUNCTION helpers.wait() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_advisory_xact_lock({self.LOCK}); RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE OR DELETE ON papers"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION helpers.wait()",
        )

    @asynccontextmanager
    async def held_up(self, engine):
        """Each COMMIT of changed rows waits meanwhile."""
        is_mysql = engine.dialect.name == "mysql"
        stages = ["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"]
        begin = stages if is_mysql else [f"SELECT pg_advisory_lock({self.LOCK})"]
        end = "BACKUP STAGE END" if is_mysql else f"SELECT pg_advisory_unlock({self.LOCK})"
        async with autocommit(engine) as holder:
            for statement in begin:
                await holder.exec_driver_sql(statement)
            try:
                yield
            finally:
                await holder.exec_driver_sql(end)

    @pytest.mark.parametrize("how", ["cut", "cut and cancelled"])
    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    async def test_then_it_commits(self, engine, papers, server, names, go, how):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        if engine.dialect.name == "postgresql":
            await self.wait_at_commit(server)
        connected, flushed = asyncio.get_running_loop().create_future(), asyncio.Event()

        async def work():
            async with sessions() as session:
                session.add(Paper(id=2, file=pending("two")))
                await go(session, Paper)
                await session.flush()
                raw = await (await session.connection()).get_raw_connection()
                connected.set_result((await server_process(session), raw.driver_connection))
                await flushed.wait()
                await session.commit()

        task = asyncio.create_task(work())
        number, driver_connection = await connected
        async with self.held_up(engine):
            flushed.set()
            await until(engine, number, IS_WAITING[engine.dialect.name])
            cut(driver_connection)
            if how == "cut and cancelled":
                task.cancel()
            await asyncio.wait({task}, timeout=0.5)  # those who ask too early have asked by then
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], BaseException)
        await until(engine, number, None)
        found = await names()
        assert "two" in found or how == "cut and cancelled"  # asyncpg asks the server to stop, which may be in time
        assert set(found) <= await left()


IS_WAITING = {"postgresql": "wait_event_type = 'Lock'", "mysql": "state LIKE 'Waiting%'"}


async def server_process(session):
    """The number of the server's process, or thread, for the connection of a session."""
    is_mysql = (await session.connection()).dialect.name == "mysql"
    return await session.scalar(select(func.connection_id() if is_mysql else func.pg_backend_pid()))


async def until(engine, number, condition):
    """Wait until a process of the server is like that; with None until it has gone."""
    of = {"postgresql": "pg_stat_activity WHERE pid", "mysql": "information_schema.processlist WHERE id"}
    query = f"SELECT count(*) FROM {of[engine.dialect.name]} = {number} AND {condition or 'true'}"
    async with engine.connect() as watcher:
        while bool(await watcher.scalar(text(query))) is not (condition is not None):
            await watcher.rollback()


def cut(driver_connection):
    """End it for the client's side only, as a network does; the server's process goes on."""
    transport = getattr(driver_connection, "_transport", None)
    number = driver_connection.fileno() if transport is None else transport.get_extra_info("socket").fileno()
    with socket.socket(fileno=os.dup(number)) as same:
        same.shutdown(socket.SHUT_RDWR)


@only_servers  # the test server's max_prepared_transactions is above 0
class TestTwoPhaseLater:
    @pytest.fixture
    async def papers(self, track_metadata):
        """Rows of MariaDB are looked up with locks, which a prepared transaction keeps: nobody waits for long."""
        return await track_metadata(Own.metadata, removal_timeout=1)

    @pytest.mark.parametrize("leave", ["invalidated", "cut"])
    @pytest.mark.parametrize("is_committed", [True, False], ids=["committed later", "rolled back later"])
    @pytest.mark.parametrize("go", FIRST_GOES.values(), ids=FIRST_GOES.keys())
    async def test_prepared_by_a_session_that_is_gone(self, engine, papers, server, names, leave, is_committed, go):
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        session = sessions(twophase=True)
        await go(session, Paper)
        session.add(Paper(id=2, file=pending("two")))
        raw = await (await session.connection()).get_raw_connection()
        number = await server_process(session)
        await session.run_sync(lambda sync: sync.prepare())
        if leave == "cut":
            cut(raw.driver_connection)
        else:
            await session.invalidate()
        with suppress(DBAPIError):
            await session.close()
        await until(engine, number, None)
        verb = "COMMIT" if is_committed else "ROLLBACK"
        async with autocommit(engine) as connection:
            if engine.dialect.name == "mysql":
                [xid] = await prepared_on_mariadb(connection)
                await connection.exec_driver_sql(f"XA {verb} {xid}")
            else:
                query = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
                await connection.execute(text(f"{verb} PREPARED '{await connection.scalar(text(query))}'"))
        found = await names()
        assert "two" in found if is_committed else found == ["one"]
        assert set(found) <= await left()

    async def test_closed_by_the_session_itself(self, papers, names):
        """SQLAlchemy rolls a prepared transaction back then."""
        sessions, left = papers
        await add(sessions, Paper(id=1, file=pending("one")))
        async with sessions(twophase=True) as session:
            await replace_by_content(session, Paper)
            await session.run_sync(lambda sync: sync.prepare())
        found = await names()
        assert found == ["one"]
        assert set(found) <= await left()


class TestListeners:
    """A `before_flush` of the application's, which runs after ours."""

    async def test_content_that_a_later_listener_assigns(self, sessions, engine, left):
        async with sessions() as session:

            @event.listens_for(session.sync_session, "before_flush")
            def assign(sync, context, instances):
                for book in [each for each in (*sync.new, *sync.dirty) if isinstance(each, Book)]:
                    if book.title != "listed":
                        book.title, book.file = "listed", pending("assigned")

            session.add(Book(id=1, file=pending("superseded")))
            await session.commit()
        assert await named(engine, Base.metadata) == ["assigned"]
        assert await left() == {"assigned"}

    async def test_an_object_that_a_later_listener_adds(self, sessions, engine, left):
        async with sessions() as session:

            @event.listens_for(session.sync_session, "before_flush")
            def also(sync, context, instances):
                if not any(isinstance(each, Loan) for each in sync.new):
                    sync.add(Loan(id=1, file=pending("added")))

            session.add(Book(id=1, file=pending("one")))
            await session.flush()
            await session.commit()
        assert await named(engine, Base.metadata) == ["added", "one"]
        assert await left() == {"added", "one"}

    async def test_a_list_that_a_later_listener_extends(self, sessions, engine, left):
        async with sessions() as session:

            @event.listens_for(session.sync_session, "before_flush")
            def extend(sync, context, instances):
                for album in sync.new:
                    album.pages.append(pending("appended"))

            session.add(Album(id=1, pages=[pending("one")]))
            await session.commit()
        assert await named(engine, Base.metadata) == ["appended", "one"]
        assert await left() == {"appended", "one"}

    async def test_what_a_later_listener_assigns_is_rolled_back(self, sessions, engine, left):
        await add(sessions, Book(id=1, file=pending("one")))
        async with sessions() as session:

            @event.listens_for(session.sync_session, "before_flush")
            def assign(sync, context, instances):
                for book in sync.dirty:
                    book.file = pending("assigned")

            (await session.get(Book, 1)).title = "changed"
            await session.flush()
            await session.rollback()
        assert await named(engine, Base.metadata) == ["one"]
        assert await left() == {"one"}

    async def test_a_listener_of_the_class_that_was_there_before(self, engine, track, left):
        class Application(Session):
            pass

        @event.listens_for(Application, "before_flush")
        def assign(sync, context, instances):
            for book in sync.new:
                book.file = pending("assigned")

        async with track(async_sessionmaker(engine, sync_session_class=Application)).begin() as session:
            session.add(Book(id=1))
        assert await named(engine, Base.metadata) == ["assigned"]
        assert await left() == {"assigned"}
