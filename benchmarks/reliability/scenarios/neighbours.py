"""Files that other rows name, rows that the database keeps, and changes that somebody else made in the meantime."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

from sqlalchemy import delete, event, select, text, update
from sqlalchemy.exc import DBAPIError, SAWarning

from benchmarks.reliability.library import Library, NotApplicableError
from benchmarks.reliability.scenarios.listing import OLD, Scenario, Stop, added, first, give, listing, provoked, replace
from benchmarks.reliability.scenarios.trouble import around_commit, connection_of, stop

SCENARIOS: dict[str, Scenario] = {}
scenario = listing(SCENARIOS)

COPY = "INSERT INTO loans (id, text, file) SELECT 500, text, file FROM documents WHERE id = 1"
KEEPS = {  # what lets a deleted row stay
    "sqlite": [
        """CREATE TRIGGER soft BEFORE DELETE ON documents BEGIN
        UPDATE documents SET title = 'deleted' WHERE id = OLD.id; SELECT RAISE(IGNORE); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION soft() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN UPDATE documents SET title = 'deleted' WHERE id = OLD.id; RETURN NULL; END $$""",
        "CREATE TRIGGER soft BEFORE DELETE ON documents FOR EACH ROW EXECUTE FUNCTION soft()",
    ],
}
RULE = "CREATE RULE soft AS ON DELETE TO documents DO INSTEAD UPDATE documents SET title = 'x' WHERE id = OLD.id"
REMEMBERS = {  # what writes a history
    "sqlite": [
        """CREATE TRIGGER history AFTER UPDATE OF file ON documents BEGIN
        INSERT INTO loans (id, text, file) VALUES (500, OLD.text, OLD.file); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION history() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO loans (id, text, file) VALUES (500, OLD.text, OLD.file); RETURN NULL; END $$""",
        "CREATE TRIGGER history AFTER UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION history()",
    ],
}
LATE = "ALTER TABLE documents ALTER CONSTRAINT documents_shelf_id_fkey DEFERRABLE INITIALLY DEFERRED"


# ---- two rows that name one file, of which nobody was told


@scenario("copy an id to a second row, replace the first")
async def copied_by_the_orm(at: Library) -> None:
    async with at.sessions() as session:
        document = await first(at, session)
        session.add(at.models.Loan(id=500, text=OLD, file=document.file))
        await session.commit()
        await at.settle()
    await replaced(at)


@scenario("copy an id by raw SQL, replace the first")
async def copied_by_raw_sql(at: Library) -> None:
    await at.execute(COPY)
    await replaced(at)


@scenario("copy an id by text() in the session, replace the first")
async def copied_by_text(at: Library) -> None:
    async with at.sessions() as session:
        await session.execute(text(COPY))
        await replace(at, session)
        await session.commit()


@scenario("a history table, written by a trigger")
async def remembered(at: Library) -> None:
    await at.execute(*REMEMBERS[kind(at)])
    await replaced(at)


@scenario("a copy that is rolled back")
async def copy_rolled_back(at: Library) -> None:
    async with at.sessions() as session:
        document = await first(at, session)
        session.add(at.models.Loan(id=500, text=OLD, file=document.file))
        await session.flush()
        await session.rollback()


@scenario("two rows name a file, in a schema of their own (`schema_translate_map`)")
async def in_a_schema(at: Library) -> None:
    async with schema(at):
        bind = at.engine.execution_options(schema_translate_map={None: "tenant"})
        async with at.sessions(bind=bind) as session:
            await share_and_delete(at, session)


@scenario("two rows name a file, in a schema of their own (`search_path`)")
async def in_a_search_path(at: Library) -> None:
    async with schema(at), at.sessions() as session:
        await share_and_delete(at, session, text("SET LOCAL search_path TO tenant, public"))


async def share_and_delete(at: Library, session: Any, begin: Any = None) -> None:
    async def begun() -> None:
        if begin is not None:
            await session.execute(begin)

    await begun()
    session.add(added(at, "new", id=2))
    await session.commit()
    await at.settle()
    await begun()
    session.add(at.models.Document(id=3, text="new", file=(await session.get(at.models.Document, 2)).file))
    await session.commit()
    await at.settle()
    await begun()
    await session.delete(await session.get(at.models.Document, 2))
    await session.commit()


@asynccontextmanager
async def schema(at: Library) -> AsyncIterator[None]:
    """A table of documents in another schema, whose rows are put with the others afterwards."""
    needs_postgresql(at, "SQLite has no schemas")
    await at.execute("CREATE SCHEMA tenant", "CREATE TABLE tenant.documents (LIKE documents INCLUDING ALL)")
    try:
        yield
    finally:
        await at.execute("INSERT INTO documents SELECT * FROM tenant.documents", "DROP SCHEMA tenant CASCADE")


# ---- rows that the database, or the application, keeps


@scenario("soft-delete trigger")
async def soft_delete_trigger(at: Library) -> None:
    await at.execute(*KEEPS[kind(at)])
    await deleted(at)


@scenario("soft-delete rule")
async def soft_delete_rule(at: Library) -> None:
    needs_postgresql(at, "SQLite has no rules")
    await at.execute(RULE)
    await deleted(at)


@scenario("soft-delete hook")
async def soft_delete_hook(at: Library) -> None:
    document = at.models.Document
    async with at.sessions() as session:

        @event.listens_for(session.sync_session, "do_orm_execute")
        def keep(state: Any) -> None:
            if state.is_delete:
                state.statement = update(document).where(document.id == 1).values(title="deleted")

        await session.execute(delete(document).where(document.id == 1))
        await session.commit()


@scenario("DELETE with SKIP LOCKED, another worker has the first row")
async def skip_locked(at: Library) -> None:
    needs_postgresql(at, "SQLite locks no rows")
    document = at.models.Document
    async with at.sessions() as session:
        session.add(added(at, "second", id=2))
        await session.commit()
        await at.settle()
    free = select(document.id).order_by(document.id).with_for_update(skip_locked=True).limit(1).scalar_subquery()
    async with at.rolled_back() as other, at.sessions() as session:
        await done(other.execute(select(document.id).where(document.id == 1).with_for_update()))
        await session.execute(delete(document).where(document.id == free))
        await session.commit()


# ---- commits that are not what they seemed


@scenario("COMMIT fails (deferred constraint)")
async def commit_fails(at: Library) -> None:
    with provoked(DBAPIError):
        async with at.sessions() as session:
            await violate(at, session)
            await session.commit()


@scenario("the session joins a connection's transaction, whose COMMIT fails")
async def outer_commit_fails(at: Library) -> None:
    if not at.is_sqlite:
        await at.execute(LATE)
    with provoked(DBAPIError):
        async with at.rolled_back() as connection:
            async with at.sessions(bind=connection) as session:
                await violate(at, session, is_prepared=True)
                await session.commit()
            await done(connection.commit())


@scenario("COMMIT succeeds, and its answer is lost")
async def answer_lost(at: Library) -> None:
    with provoked(Stop):
        async with at.sessions() as session:
            await replace(at, session)
            await session.flush()
            with around_commit(await connection_of(session), after=stop):
                await session.commit()


@scenario("AUTOCOMMIT, then rollback")
async def autocommit(at: Library) -> None:
    needs_postgresql(at, "the engine begins each transaction itself, for savepoints")
    async with at.sessions(bind=at.engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        session.add(added(at, "new"))
        await session.flush()
        await session.rollback()


async def violate(at: Library, session: Any, *, is_prepared: bool = False) -> None:
    """Replace a file, and break a constraint that is looked at in the end."""
    if at.is_sqlite:
        await session.execute(text("PRAGMA defer_foreign_keys = ON"))
    elif not is_prepared:
        await at.execute(LATE)
    document = await first(at, session)
    give(at, document, "new")
    document.shelf_id = 99
    await session.flush()


# ---- what somebody else did in the meantime


@scenario("stale id in a full PUT")
async def stale_id(at: Library) -> None:
    async with at.sessions() as session:
        stale = (await first(at, session)).file
    await replaced(at)
    await at.settle()
    async with at.sessions() as session:
        document = await first(at, session)
        document.text, document.file = OLD, stale
        await session.commit()


@scenario("merge of a cached row")
async def merge_of_a_cached_row(at: Library) -> None:
    async with at.sessions() as session:
        cached = await first(at, session)
    await replaced(at)
    await at.settle()
    async with at.sessions() as session:
        await session.merge(cached)
        await session.commit()


@scenario("two people edit one list")
async def one_list(at: Library) -> None:
    async with at.sessions() as session:
        session.add(at.models.Album(id=1, text="one,two", file=[at.new("one"), at.new("two")]))
        await session.commit()
        await at.settle()
    async with at.sessions(expire_on_commit=False) as session:
        album = await session.get(at.models.Album, 1)
        await session.commit()
        async with at.sessions() as other:
            theirs = await other.get(at.models.Album, 1)
            theirs.text, theirs.file = "two", theirs.file[1:]
            await other.commit()
            await at.settle()
        album.text, album.file = "one,two,three", [*album.file, at.new("three")]
        await session.commit()


@scenario("the same content again, after an IntegrityError")
async def again(at: Library) -> None:
    async with at.sessions() as session:
        session.add(added(at, "new", title="taken"))
        await session.commit()
        await at.settle()
    document = added(at, "again", title="taken")
    async with at.sessions() as session:
        session.add(document)
        with provoked(DBAPIError):
            await session.commit()
        await session.rollback()
        document.title = "free"
        session.add(document)
        await session.commit()


# ---- how


def kind(at: Library) -> str:
    return "sqlite" if at.is_sqlite else "postgresql"


def needs_postgresql(at: Library, reason: str) -> None:
    if at.is_sqlite:
        raise NotApplicableError(reason)


async def replaced(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session)
        await session.commit()


async def deleted(at: Library) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # that no row was deleted
        async with at.sessions() as session:
            await session.delete(await first(at, session))
            await session.commit()


async def done(result: Any) -> None:
    """Of a connection that may be asynchronous."""
    if isawaitable(result):
        await result
