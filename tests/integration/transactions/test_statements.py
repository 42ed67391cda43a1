"""Statements that a session executes: exactly the rows that go lose their files, and no file is named unseen."""

import asyncio
from functools import partial
from itertools import product

import pytest
from sqlalchemy import Index, String, bindparam, delete, event, func, insert, literal, select, text, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, with_loader_criteria
from sqlalchemy.sql import Delete, Insert, Update
from sqlalchemy.util import await_only

from async_storages import FileGoneException, InvalidArgumentException, StoredFile
from async_storages.integrations.sqlalchemy import FileMapped, FileType, enable_file_tracking
from tests.integration.transactions.conftest import begin_with_begin
from tests.support.databases import only_postgresql, only_servers
from tests.support.ledgers import forget_ledgers, only_level_1, only_level_2, settle
from tests.support.named import kept_or_refused, named, saved
from tests.support.tracked import Base, Book, Loan, pending

pytestmark = pytest.mark.matrix


class Own(DeclarativeBase):
    pass


class Job(Own):
    __tablename__ = "jobs"
    __mapper_args__ = {"confirm_deleted_rows": False}  # noqa: RUF012 - the database may keep them
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(100))
    is_deleted: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"))
    __table_args__ = (Index("ix_jobs_file", "file", mysql_length=255),)


class Pair(Own):
    __tablename__ = "pairs"
    one: Mapped[int] = mapped_column(primary_key=True)
    two: Mapped[str] = mapped_column(String(20), primary_key=True)
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"))
    __table_args__ = (Index("ix_pairs_file", "file", mysql_length=255),)


only_mariadb = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
COUNT = 6
ALL = [f"file {number}" for number in range(1, COUNT + 1)]


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    forget_ledgers(Own.metadata)


@pytest.fixture
async def jobs(track_metadata):
    """The sessions and the `left` of our own tables, in which there are six jobs with a file each."""
    sessions, left = await track_metadata(Own.metadata)
    async with sessions.begin() as session:
        session.add_all([Job(id=number, title=name, file=pending(name)) for number, name in enumerate(ALL, 1)])
    return sessions, left


@pytest.fixture
def names(engine):
    return partial(named, engine, Own.metadata)


@pytest.fixture
def database(engine):
    return engine.dialect.name


@pytest.fixture
async def server(engine):
    """Runs SQL as somebody else would; what it makes in the schema "helpers" goes again."""

    async def server(*statements):
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    yield server
    if engine.dialect.name == "postgresql":
        await server("DROP SCHEMA IF EXISTS helpers CASCADE")


def chosen(*order):
    return select(Job.id).order_by(*order).limit(2)


def skip_locked(count=1):
    return select(Job.id).order_by(Job.id).with_for_update(skip_locked=True).limit(count)


def one_of_two(database):
    return func.random() < (0 if database == "sqlite" else 0.5)


def found_by(database, query):
    """A query within criteria; MySQL and MariaDB read the table that they write in a derived table only."""
    return select(query.subquery().c.id) if database == "mysql" else query


def in_a_cte(database):
    query = chosen(Job.id)
    return Job.id.in_(select((query.subquery() if database == "mysql" else query.cte("first_two")).c.id))


CRITERIA = {  # and how many rows they find
    "SKIP LOCKED": (lambda database: Job.id == found_by(database, skip_locked()).scalar_subquery(), 1),
    "SKIP LOCKED, two": (lambda database: Job.id.in_(found_by(database, skip_locked(2))), 2),
    "min()": (lambda database: Job.id == found_by(database, select(func.min(Job.id).label("id"))).scalar_subquery(), 1),
    "random() in a subquery": (lambda database: Job.id.in_(found_by(database, chosen(func.random()))), 2),
    "random()": (one_of_two, None),
    "LIMIT in a CTE": (in_a_cte, 2),
    "all": (lambda _: Job.id > 0, COUNT),
    "none": (lambda _: Job.id < 0, 0),
}
STATEMENTS = {
    "delete": lambda _: delete(Job),
    "Core delete": lambda _: delete(Job.__table__),
    "update to None": lambda _: update(Job).values(file=None),
    "update to a file": lambda file: update(Job).values(file=file),
    "Core update": lambda _: update(Job.__table__).values(file=None),
}


TWO_STATEMENTS = ["delete", "update to a file"]
RETURNING = [*product(["sqlite", "postgresql"], TWO_STATEMENTS), ("mariadb", "delete")]


@pytest.mark.parametrize(("criteria", "count"), CRITERIA.values(), ids=CRITERIA.keys())
class TestCriteria:
    """They may find other rows each time they are asked: the rows that were locked are those that go."""

    @pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS.keys())
    async def test_commit(self, jobs, names, storage, database, statement, criteria, count):
        sessions, left = jobs
        new = await saved(storage, "new")
        async with sessions.begin() as session:
            result = await session.execute(statement(new).where(criteria(database)))
        found = await names()
        gone = COUNT - len([name for name in found if name != "new"])
        assert count in {None, gone}
        assert result.rowcount == gone
        assert await left() - {"new"} == set(found) - {"new"}
        assert found.count("new") in {0, gone}

    @pytest.mark.parametrize("kind", TWO_STATEMENTS)
    async def test_rollback(self, jobs, names, storage, database, kind, criteria, count):
        sessions, left = jobs
        new = await saved(storage, "new")
        async with sessions() as session:
            await session.execute(STATEMENTS[kind](new).where(criteria(database)))
        assert await names() == ALL
        assert await left() - {"new"} == set(ALL)

    @pytest.mark.parametrize(("database_url", "kind"), RETURNING, indirect=["database_url"])
    async def test_returning(self, jobs, names, storage, database, kind, criteria, count):
        sessions, left = jobs
        new = await saved(storage, "new")
        async with sessions.begin() as session:
            statement = STATEMENTS[kind](new).where(criteria(database))
            result = await session.execute(statement.returning(Job.id, Job.title))
            gone = {f"file {number}": title for number, title in result}
        assert count is None or len(gone) == count
        assert list(gone) == list(gone.values())
        assert {name for name in await names() if name != "new"} == set(ALL) - set(gone)
        assert await left() - {"new"} == set(ALL) - set(gone)


class TestQueue:
    """Workers take jobs from a table, with a statement that no two of them can use for one job."""

    STATEMENTS = {  # noqa: RUF012 - nobody changes it
        "delete": lambda _: delete(Job).where(Job.id == skip_locked().scalar_subquery()),
        "delete of two": lambda database: delete(Job).where(Job.id.in_(found_by(database, skip_locked(2)))),
        "delete of a random one": lambda database: delete(Job).where(
            Job.id == found_by(database, skip_locked().order_by(None).order_by(func.random())).scalar_subquery()
        ),
        "update": lambda _: (
            update(Job)
            .where(
                Job.id
                == select(Job.id)
                .where(Job.file.is_not(None))
                .with_for_update(skip_locked=True)
                .limit(1)
                .scalar_subquery()
            )
            .values(file=None)
        ),
    }

    async def work(self, sessions, statement, times):
        taken = []
        for _ in range(times):
            async with sessions.begin() as session:
                taken += await session.scalars(statement.returning(Job.id))
        return taken

    @pytest.mark.parametrize(
        ("database_url", "kind"),
        [*product(["postgresql"], STATEMENTS), *product(["mariadb"], list(STATEMENTS)[:-1])],
        indirect=["database_url"],
    )
    async def test_eight_workers_at_once(self, database, jobs, names, storage, kind):
        sessions, left = jobs
        async with sessions.begin() as session:
            session.add_all([Job(id=number, file=pending(f"file {number}")) for number in range(COUNT + 1, 31)])
        done = await asyncio.gather(*(self.work(sessions, self.STATEMENTS[kind](database), 2) for _ in range(8)))
        taken = [number for each in done for number in each]
        is_all_locked = database == "mysql" and "random" in kind  # rows that are sorted are locked, all of them
        assert len(taken) == len(set(taken)) >= (1 if is_all_locked else 8)
        kept = {f"file {number}" for number in range(1, 31) if number not in taken}
        assert set(await names()) == kept
        assert await left() == kept

    @pytest.mark.parametrize(
        ("database_url", "kind"),
        [*product(["sqlite", "postgresql"], STATEMENTS), *product(["mariadb"], list(STATEMENTS)[:-1])],
        indirect=["database_url"],
    )
    async def test_one_after_the_other(self, database, jobs, names, kind):
        sessions, left = jobs
        taken = []
        for _ in range(2):
            taken += await self.work(sessions, self.STATEMENTS[kind](database), 1)
            kept = {f"file {number}" for number in range(1, COUNT + 1) if number not in taken}
            assert set(await names()) == await left() == kept

    @only_servers
    async def test_a_job_that_another_worker_has_locked(self, engine, jobs, names):
        """The report that began this: one row was deleted, and another row's file."""
        sessions, left = jobs
        async with engine.connect() as other:
            await other.execute(select(Job.id).where(Job.id == 1).with_for_update())
            async with sessions.begin() as session:
                taken = list(await session.scalars(self.STATEMENTS["delete"](None).returning(Job.id)))
        assert taken == [2]
        assert set(await names()) == await left() == set(ALL) - {"file 2"}

    @only_servers
    async def test_a_lock_that_is_let_go_on_the_way(self, engine, jobs, names):
        """Between the look at the rows and the statement, what SKIP LOCKED finds changes."""
        sessions, left = jobs
        async with engine.connect() as other:
            await other.execute(select(Job.id).where(Job.id == 1).with_for_update())

            @event.listens_for(engine.sync_engine, "before_cursor_execute")
            def let_go(connection, cursor, sql, *_):
                if sql.startswith("DELETE FROM jobs"):
                    await_only(other.rollback())

            async with sessions.begin() as session:
                taken = list(await session.scalars(self.STATEMENTS["delete"](None).returning(Job.id)))
            event.remove(engine.sync_engine, "before_cursor_execute", let_go)
        [number] = taken
        assert set(await names()) == await left() == set(ALL) - {f"file {number}"}

    @only_servers
    @pytest.mark.parametrize("kind", ["delete", "update"])
    async def test_a_row_that_is_inserted_on_the_way(self, engine, jobs, names, storage, kind):
        sessions, left = jobs
        late = await saved(storage, "late")
        inserted = []

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def insert_one(connection, cursor, sql, *_):
            if sql.startswith((f"{kind.upper()} FROM jobs", f"{kind.upper()} jobs")) and not inserted:
                inserted.append(1)
                await_only(insert_late())

        async def insert_late():
            async with engine.begin() as connection:
                await connection.execute(insert(Job.__table__).values(id=99, file=late))

        reader = engine.execution_options(isolation_level="READ COMMITTED")  # without locks of gaps
        async with sessions(bind=reader) as session, session.begin():
            await session.execute(delete(Job) if kind == "delete" else update(Job).values(file=None))
        event.remove(engine.sync_engine, "before_cursor_execute", insert_one)
        assert inserted
        assert set(await names()) == await left() & {*ALL, "late"}


# ---- rows that the database keeps


KEEPERS = {
    "a rule": [
        "CREATE RULE soft AS ON DELETE TO jobs DO INSTEAD UPDATE jobs SET is_deleted = true WHERE id = OLD.id",
    ],
    "a trigger": [
        "CREATE SCHEMA helpers",
        """CREATE FUNCTION helpers.soft() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN UPDATE jobs SET is_deleted = true WHERE id = OLD.id; RETURN NULL; END $$""",
        "CREATE TRIGGER soft BEFORE DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION helpers.soft()",
    ],
    "a trigger for some": [
        "CREATE SCHEMA helpers",
        """CREATE FUNCTION helpers.soft() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF OLD.id = 1 THEN RETURN NULL; END IF; RETURN OLD; END $$""",
        "CREATE TRIGGER soft BEFORE DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION helpers.soft()",
    ],
}
SQLITE_KEEPERS = {
    "a trigger": [
        """CREATE TRIGGER soft BEFORE DELETE ON jobs FOR EACH ROW BEGIN
        UPDATE jobs SET is_deleted = true WHERE id = OLD.id; SELECT RAISE(IGNORE); END""",
    ],
    "a trigger for some": [
        """CREATE TRIGGER soft BEFORE DELETE ON jobs FOR EACH ROW WHEN OLD.id = 1 BEGIN
        SELECT RAISE(IGNORE); END""",
    ],
}


async def delete_objects(session):
    for job in await session.scalars(select(Job).order_by(Job.id)):
        await session.delete(job)


async def delete_by_statement(session):
    await session.execute(delete(Job))


async def delete_by_core(session):
    await session.execute(delete(Job.__table__))


async def delete_on_the_connection(session):
    await (await session.connection()).execute(delete(Job.__table__))


DELETIONS = [delete_objects, delete_by_statement, delete_by_core, delete_on_the_connection]


class TestKeptByTheDatabase:
    @only_postgresql
    @pytest.mark.parametrize("remove", DELETIONS)
    @pytest.mark.parametrize("keeper", KEEPERS.values(), ids=KEEPERS.keys())
    async def test_on_postgresql(self, jobs, server, names, remove, keeper):
        await self.check(jobs, server, names, remove, keeper)

    @only_sqlite
    @pytest.mark.parametrize("remove", DELETIONS)
    @pytest.mark.parametrize("keeper", SQLITE_KEEPERS.values(), ids=SQLITE_KEEPERS.keys())
    async def test_on_sqlite(self, jobs, server, names, remove, keeper):
        await self.check(jobs, server, names, remove, keeper)

    async def check(self, jobs, server, names, remove, keeper):
        sessions, left = jobs
        await server(*keeper)
        async with sessions.begin() as session:
            await remove(session)
        found = await names()
        assert found == (["file 1"] if "= 1" in str(keeper) else ALL)
        assert await left() >= set(found)
        if remove is not delete_on_the_connection:  # which level 1 does not see
            assert await left() == set(found)

    @pytest.mark.parametrize("by", ["ORM", "statement"])
    async def test_an_update_that_the_database_undoes(self, jobs, server, names, storage, database, by):
        """The row names the old file still, and the new one was never wanted."""
        sessions, left = jobs
        if database == "mysql":
            await server("CREATE TRIGGER back BEFORE UPDATE ON jobs FOR EACH ROW SET NEW.file = OLD.file")
        elif database == "sqlite":
            await server(
                "CREATE TRIGGER back AFTER UPDATE OF file ON jobs FOR EACH ROW WHEN NEW.file IS NOT OLD.file"
                " BEGIN UPDATE jobs SET file = OLD.file WHERE id = OLD.id; END"
            )
        else:
            await server(
                "CREATE SCHEMA helpers",
                """CREATE FUNCTION helpers.back() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN NEW.file := OLD.file; RETURN NEW; END $$""",
                "CREATE TRIGGER back BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION helpers.back()",
            )
        async with sessions.begin() as session:
            if by == "ORM":
                (await session.get(Job, 1)).file = pending("new")
            else:
                new = await saved(storage, "new")
                await session.execute(update(Job).where(Job.id == 1).values(file=new))
        assert await names() == ALL
        assert await left() == set(ALL)

    @only_mariadb
    @pytest.mark.parametrize("how", ["delete", "Core delete", "update"])
    async def test_rows_that_a_statement_ignores(self, jobs, server, names, storage, how):
        """The database refuses some of the rows, and the statement is told to go on with the others."""
        sessions, left = jobs
        await server(
            "CREATE TABLE keepers (job INTEGER, title VARCHAR(100), FOREIGN KEY (job) REFERENCES jobs (id))",
            "INSERT INTO keepers (job) VALUES (1), (2)",
            "CREATE UNIQUE INDEX titles ON jobs (title)",
        )
        statement = {
            "delete": delete(Job).prefix_with("IGNORE"),
            "Core delete": delete(Job.__table__).prefix_with("IGNORE"),
            "update": update(Job).values(title="file 1", file=None).where(Job.id <= 4).prefix_with("IGNORE"),
        }[how]
        async with sessions.begin() as session:
            await session.execute(statement, execution_options={"synchronize_session": False})
        found = await names()
        assert found == (ALL[1:] if how == "update" else ALL[:2])
        assert await left() == set(found)

    @only_postgresql
    @pytest.mark.parametrize("by", ["ORM", "statement"])
    async def test_an_insert_that_the_database_ignores(self, jobs, server, names, storage, by):
        sessions, left = jobs
        await server(
            "CREATE SCHEMA helpers",
            "CREATE FUNCTION helpers.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
            "CREATE TRIGGER no BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION helpers.no()",
        )
        async with sessions.begin() as session:
            if by == "ORM":
                session.add(Job(id=99, is_deleted=False, title="x", file=pending("new")))
            else:
                await session.execute(insert(Job).values(id=99, file=await saved(storage, "new")))
        assert await names() == ALL
        assert await left() == set(ALL)


def replace_statement(state):
    if state.is_delete:
        kept = update(Job).where(*state.statement._where_criteria).values(is_deleted=True)
        state.statement = kept.execution_options(synchronize_session=False)


def answer_instead(state):
    if state.is_delete:
        kept = update(Job).where(*state.statement._where_criteria).values(is_deleted=True)
        return state.session.execute(kept, execution_options={"synchronize_session": False})
    return None


def only_some(state):
    if state.is_delete:
        state.statement = state.statement.where(Job.id > 1)


def hide_from_all(state):
    if state.is_select or state.is_update or state.is_delete:
        state.statement = state.statement.options(with_loader_criteria(Job, Job.id > 1, include_aliases=True))


def hide_from_selects(state):
    if state.is_select:
        state.statement = state.statement.options(with_loader_criteria(Job, Job.id > 1, include_aliases=True))


HOOKS = {  # and what the rows name then
    "an update instead": (replace_statement, ALL),
    "an answer of its own": (answer_instead, ALL),
    "more criteria": (only_some, ["file 1"]),
    "criteria for all statements": (hide_from_all, ["file 1"]),
    "criteria for SELECT": (hide_from_selects, []),
}


class TestHooks:
    """An application's `do_orm_execute`, before ours or after it."""

    @pytest.mark.parametrize(("hook", "kept"), HOOKS.values(), ids=HOOKS.keys())
    async def test_after_ours(self, jobs, names, hook, kept):
        sessions, left = jobs
        async with sessions.begin() as session:
            event.listen(session.sync_session, "do_orm_execute", hook, retval=True)
            await session.execute(delete(Job))
        assert await names() == kept
        assert await left() == set(kept)

    @pytest.mark.parametrize(("hook", "kept"), HOOKS.values(), ids=HOOKS.keys())
    async def test_before_ours(self, jobs, engine, names, hook, kept):
        class Application(Session):
            pass

        event.listen(Application, "do_orm_execute", hook, retval=True)
        _, left = jobs
        _, ledger = left.args
        sessions = enable_file_tracking(async_sessionmaker(engine, sync_session_class=Application), ledger=ledger)
        async with sessions.begin() as session:
            await session.execute(delete(Job))
        assert await names() == kept
        assert await left() == set(kept)

    async def test_rows_that_were_hidden_stay_whole(self, jobs, names):
        """The recipe for rows that are only marked as deleted: they are no business of a bulk delete."""
        sessions, left = jobs
        async with sessions.begin() as session:
            await session.execute(update(Job).where(Job.id <= 2).values(is_deleted=True))
        async with sessions.begin() as session:

            @event.listens_for(session.sync_session, "do_orm_execute")
            def hide(state):
                state.statement = state.statement.options(
                    with_loader_criteria(Job, Job.is_deleted.is_(False), include_aliases=True)
                )

            await session.execute(delete(Job))
        assert await names() == ["file 1", "file 2"]
        assert await left() == {"file 1", "file 2"}


class TestReplica:
    """A session that reads from a copy, which is behind."""

    @pytest.fixture
    async def replica(self, tmp_path, storage):
        replica = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'replica.sqlite'}")
        begin_with_begin(replica.sync_engine)
        async with replica.begin() as connection:
            await connection.run_sync(Own.metadata.create_all)
            old = await saved(storage, "of the copy")
            await connection.execute(insert(Job.__table__).values(id=1, title="file 1", file=old))
        yield replica
        await replica.dispose()

    @pytest.fixture
    def routing(self, engine, replica, jobs):
        """Sessions that write to the database and read from its copy."""
        sessions, _ = jobs

        class Routing(sessions.kw["sync_session_class"]):
            def get_bind(self, mapper=None, *, clause=None, **_):
                is_writing = self._flushing or isinstance(clause, Delete | Update | Insert)
                return (engine if is_writing else replica).sync_engine

        return partial(async_sessionmaker(sync_session_class=Routing), expire_on_commit=False)

    @pytest.mark.parametrize("statement", [delete(Job), update(Job).values(file=None)], ids=["delete", "update"])
    @pytest.mark.parametrize("count", [1, COUNT])
    async def test_a_statement(self, jobs, routing, names, statement, count):
        _, left = jobs
        async with routing() as session:
            result = await session.execute(statement.where(Job.id <= count))
            await session.commit()
            assert result.rowcount == count
        found = await names()
        assert found == ALL[count:]
        assert await left() - {"of the copy"} == set(found)

    @pytest.mark.parametrize("change", ["delete", "replace"])
    async def test_a_flush(self, jobs, routing, names, change):
        """The object was read from the copy, and what its row names is known to the database only."""
        _, left = jobs
        async with routing() as session:
            job = await session.get(Job, 1)
            if change == "delete":
                await session.delete(job)
            else:
                job.file = pending("new")
            await session.commit()
        found = await names()
        assert found == (ALL[1:] if change == "delete" else [*ALL[1:], "new"])
        assert await left() - {"of the copy"} == set(found)

    async def test_a_second_row_that_the_copy_does_not_have(self, engine, jobs, routing, names):
        sessions, left = jobs
        async with sessions.begin() as session:
            session.add(Job(id=99, file=(await session.get(Job, 1)).file))
        async with routing() as session:
            await session.execute(delete(Job).where(Job.id == 1))
            await session.commit()
        assert await names() == ALL
        assert await left() - {"of the copy"} == set(ALL)


# ---- what a statement answers


class TestAnswers:
    async def test_three_thousand_rows(self, engine, jobs, names, storage):
        sessions, left = jobs
        files = [await saved(storage, f"many {number}") for number in range(3000)]
        async with engine.begin() as connection:
            rows = [{"id": 1000 + number, "title": file.filename, "file": file} for number, file in enumerate(files)]
            await connection.execute(insert(Job.__table__), rows)
        async with sessions.begin() as session:
            result = await session.execute(delete(Job).where(Job.id >= 1000).returning(Job.id, Job.title))
            found = result.all()
        assert sorted(found) == [(1000 + number, f"many {number}") for number in range(3000)]
        assert await names() == ALL
        assert await left() == set(ALL)

    @pytest.mark.parametrize("kind", ["delete", "update", "Core delete", "pairs"])
    async def test_more_rows_than_a_statement_has_parameters(self, engine, jobs, names, kind):
        sessions, left = jobs
        numbers = (
            "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 40999)"
            if engine.dialect.name == "sqlite"
            else "WITH n(i) AS (SELECT generate_series(1000, 40999))"
            if engine.dialect.name == "postgresql"
            else "WITH n(i) AS (SELECT seq FROM seq_1000_to_40999)"
        )
        async with engine.begin() as connection:
            await connection.execute(text(f"INSERT INTO jobs (id) {numbers} SELECT i FROM n".replace("()", "")))
            await connection.execute(
                text(f"INSERT INTO pairs (one, two, file) {numbers} SELECT i, 'x', null FROM n WHERE i < 30000")
            )
        statement, count, kept = {
            "delete": (delete(Job), 40_000 + COUNT, []),
            "Core delete": (delete(Job.__table__), 40_000 + COUNT, []),
            "update": (update(Job).values(file=None), 40_000 + COUNT, []),
            "pairs": (delete(Pair), 29_000, ALL),
        }[kind]
        async with sessions.begin() as session:
            result = await session.execute(statement, execution_options={"synchronize_session": False})
            assert result.rowcount == count
        assert await names() == kept
        assert await left() == set(kept)

    async def test_composite_keys(self, engine, jobs, names):
        sessions, left = jobs
        async with sessions.begin() as session:
            session.add_all([Pair(one=one, two=two, file=pending(f"{two}{one}")) for one in (1, 2) for two in "ab"])
        async with sessions.begin() as session:
            result = await session.execute(delete(Pair).where(Pair.one == 1, Pair.two == "a"))
            assert result.rowcount == 1
        assert await names() == ["a2", "b1", "b2", *ALL]
        assert await left() == {"a2", "b1", "b2", *ALL}

    @pytest.mark.parametrize("synchronize", ["auto", "evaluate", "fetch", False])
    async def test_objects_of_a_delete(self, jobs, names, synchronize):
        sessions, left = jobs
        async with sessions() as session:
            job = await session.get(Job, 1)
            await session.execute(
                delete(Job).where(Job.id == 1), execution_options={"synchronize_session": synchronize}
            )
            assert (job in session) is (synchronize is False)
            await session.commit()
        assert await names() == ALL[1:]
        assert await left() == set(ALL[1:])

    @pytest.mark.parametrize("synchronize", ["auto", "evaluate", "fetch", False])
    async def test_objects_of_an_update(self, jobs, names, storage, synchronize):
        sessions, left = jobs
        new = await saved(storage, "new")
        async with sessions() as session:
            job = await session.get(Job, 1)
            await session.execute(
                update(Job).where(Job.id == 1).values(file=new, title="changed"),
                execution_options={"synchronize_session": synchronize},
            )
            if synchronize is not False:
                await session.refresh(job, [])  # what was expired, if anything, is loaded
                assert (job.title, job.file.filename) == ("changed", "new")
            else:
                assert (job.title, job.file.filename) == ("file 1", "file 1")
            await session.commit()
        assert await names() == [*ALL[1:], "new"]
        assert await left() == {*ALL[1:], "new"}

    async def test_objects_that_are_returned(self, jobs, names):
        sessions, left = jobs
        async with sessions.begin() as session:
            found = await session.scalars(delete(Job).where(Job.id <= 2).returning(Job))
            assert sorted(job.title for job in found) == ALL[:2]
        assert await names() == ALL[2:]
        assert await left() == set(ALL[2:])

    async def test_files_that_are_returned(self, jobs, names):
        sessions, left = jobs
        async with sessions.begin() as session:
            found = await session.execute(delete(Job).where(Job.id == 1).returning(Job.file, func.lower(Job.title)))
            [(file, title)] = found
            assert (file.filename, title) == ("file 1", "file 1")
            assert await file.read() == b"file 1"
        assert await left() == set(ALL[1:])

    @only_servers
    async def test_rows_found_by_another_table(self, jobs, names):
        sessions, left = jobs
        async with sessions.begin() as session:
            session.add_all([Pair(one=1, two="x"), Pair(one=3, two="x")])
            await session.flush()
            using = {"is_delete_using": True}  # as SQLAlchemy wants it for MariaDB
            await session.execute(delete(Job).where(Job.id == Pair.one), execution_options=using)
        assert await names() == [name for name in ALL if name not in {"file 1", "file 3"}]
        assert await left() == set(await names())

    @pytest.mark.parametrize("value", [func.lower("mem:X"), select(func.max(Job.file)).scalar_subquery()])
    async def test_an_sql_expression_is_refused(self, jobs, names, value):
        sessions, left = jobs
        async with sessions() as session:
            with pytest.raises(InvalidArgumentException):
                await session.execute(update(Job).where(Job.id == 1).values(file=value))
            await session.commit()
        assert await names() == ALL
        assert await left() == set(ALL)


# ---- statements whose files were stored, or were not


DIALECTS = {"mysql": mysql, "postgresql": postgresql, "sqlite": sqlite}


def insert_or_ignore(engine, table):
    """An INSERT that leaves a row that is there."""
    statement = DIALECTS[engine.dialect.name].insert(table)
    return statement.prefix_with("IGNORE") if engine.dialect.name == "mysql" else statement.on_conflict_do_nothing()


def insert_or_update(engine, key, values, file=None):
    """An INSERT of a book that gives one that is there the file; by default the one of `values`."""
    statement = DIALECTS[engine.dialect.name].insert(Book).values(values)
    if engine.dialect.name == "mysql":
        return statement.on_duplicate_key_update(file=file or statement.inserted.file)
    return statement.on_conflict_do_update(index_elements=[key], set_={"file": file or statement.excluded.file})


class TestUpserts:
    """Rows of books, whose title is unique; there is one."""

    @pytest.fixture
    async def _book(self, sessions):
        async with sessions.begin() as session:
            session.add(Book(id=1, title="taken", file=pending("old")))

    @pytest.fixture
    def keep(self, storage, ledger):
        """A file that is to be named, known to the ledger if there is one."""

        async def keep(name):
            if ledger is None:
                return await saved(storage, name)
            return await ledger.save(storage, name.encode(), name)

        return keep

    @pytest.fixture
    def names(self, engine):
        return partial(named, engine, Base.metadata)

    @pytest.mark.usefixtures("_book")
    @pytest.mark.parametrize("table", [Book, Book.__table__], ids=["class", "table"])
    @pytest.mark.parametrize("title", ["taken", "free"])
    async def test_do_nothing(self, engine, sessions, keep, names, left, level, table, title):
        new = await keep("new")
        async with kept_or_refused(level) as attempt, sessions.begin() as session:
            await session.execute(insert_or_ignore(engine, table).values(title=title, id=9, file=new))
        expected = ["new", "old"] if title == "free" and not attempt.is_refused else ["old"]
        assert await names() == expected
        assert await left() == set(expected)

    @pytest.mark.usefixtures("_book")
    async def test_do_nothing_for_some_of_a_list(self, engine, sessions, keep, names, left, level):
        rows = [{"id": 5 + number, "title": title, "file": await keep(title)} for number, title in enumerate("ab")]
        rows.append({"id": 8, "title": "taken", "file": await keep("lost")})
        async with kept_or_refused(level) as attempt, sessions.begin() as session:
            await session.execute(insert_or_ignore(engine, Book), rows)
        expected = ["old"] if attempt.is_refused else ["a", "b", "old"]
        assert await names() == expected
        assert await left() == set(expected)

    @pytest.mark.usefixtures("_book")
    @pytest.mark.parametrize("is_committed", [True, False], ids=["commit", "rollback"])
    @pytest.mark.parametrize("title", ["taken", "free"])
    @pytest.mark.parametrize("value", ["excluded", "value"])
    async def test_do_update(self, engine, sessions, keep, names, left, level, title, value, is_committed):
        new = await keep("new")
        values = {"title": title, "id": 9, "file": new}
        statement = insert_or_update(engine, "title", values, None if value == "excluded" else new)
        async with kept_or_refused(level) as attempt, sessions() as session:
            await session.execute(statement)
            await (session.commit() if is_committed else session.rollback())
        stored = ["new", "old"] if title == "free" else ["new"]
        expected = stored if is_committed and not attempt.is_refused else ["old"]
        assert await names() == expected
        found = await left()
        assert found >= set(expected)
        assert found - {"old"} == set(expected) - {"old"}  # what it replaced nobody tells us of
        assert level == 1 or found == set(expected)

    @pytest.mark.usefixtures("_book")
    @pytest.mark.parametrize("is_committed", [True, False], ids=["commit", "rollback"])
    @pytest.mark.parametrize("by", ["bulk_save_objects", "bulk_insert_mappings"])
    async def test_bulk_inserts(self, sessions, keep, names, left, level, by, is_committed):
        new = await keep("new")
        async with kept_or_refused(level) as attempt, sessions() as session:
            if by == "bulk_save_objects":
                await session.run_sync(lambda sync: sync.bulk_save_objects([Book(id=2, file=new)]))
            else:
                await session.run_sync(lambda sync: sync.bulk_insert_mappings(Book, [{"id": 2, "file": new}]))
            await (session.commit() if is_committed else session.rollback())
        expected = ["new", "old"] if is_committed and not attempt.is_refused else ["old"]
        assert await names() == expected
        assert await left() == set(expected)

    @pytest.mark.usefixtures("_book")
    @pytest.mark.parametrize("is_committed", [True, False], ids=["commit", "rollback"])
    async def test_bulk_updates(self, sessions, keep, names, left, level, is_committed):
        new = await keep("new")
        async with kept_or_refused(level) as attempt, sessions() as session:
            await session.run_sync(lambda sync: sync.bulk_update_mappings(Book, [{"id": 1, "file": new}]))
            await (session.commit() if is_committed else session.rollback())
        expected = ["new"] if is_committed and not attempt.is_refused else ["old"]
        assert await names() == expected
        assert await left() - {"old"} == set(expected) - {"old"}

    @only_level_1
    async def test_named_by_a_statement_and_by_an_object_that_was_rolled_back(self, sessions, storage, names, left):
        new = await saved(storage, "new")
        async with sessions.begin() as session:
            inner = await session.begin_nested()
            session.add(Loan(id=1, file=new))
            await session.flush()
            await inner.rollback()
            await session.execute(text("INSERT INTO books (id, file) VALUES (1, :file)"), {"file": new.file_id})
        assert await names() == ["new"]
        assert await left() == {"new"}


# ---- statements of which a ledger must know


async def insert_from_select(session, file):
    await session.execute(insert(Book).from_select(["id", "file"], select(literal(2), literal(file))))


async def insert_a_subquery(session, file):
    await session.execute(insert(Book).values(id=2, file=select(literal(file)).scalar_subquery()))


async def update_to_a_subquery(session, file):
    await session.execute(update(Book).where(Book.id == 1).values(file=select(literal(file)).scalar_subquery()))


async def update_to_an_expression(session, file):
    await session.execute(update(Book).where(Book.id == 1).values(file=func.coalesce(None, file)))


async def set_an_attribute(session, file):
    (await session.get(Book, 1)).deferred = func.coalesce(None, file)
    await session.flush()


async def set_an_attribute_that_coerces(session, file):
    (await session.get(Book, 1)).file = select(literal(file)).scalar_subquery()
    await session.flush()


async def add_an_object_with_an_expression(session, file):
    session.add(Book(id=2, deferred=func.coalesce(None, file)))
    await session.flush()


async def insert_by_a_parameter(session, file):
    await session.execute(insert(Book.__table__).values(id=2, file=bindparam("other")), {"other": file})


async def insert_by_many_parameters(session, file):
    statement = insert(Book.__table__).values(id=bindparam("number"), file=bindparam("other"))
    await session.execute(statement, [{"number": 2, "other": file}, {"number": 3, "other": None}])


async def update_by_a_parameter(session, file):
    await session.execute(update(Book).where(Book.id == 1).values(file=bindparam("other")), {"other": file})


async def update_by_many_parameters(session, file):
    table = Book.__table__
    statement = update(table).where(table.c.id == bindparam("number")).values(file=bindparam("other"))
    await session.execute(statement, [{"number": 1, "other": file}, {"number": 3, "other": None}])


async def update_by_primary_key(session, file):
    await session.execute(update(Book), [{"id": 1, "file": file}])


async def on_conflict_do_update(session, file):
    await session.execute(insert_or_update(session.bind, "id", {"id": 1}, file))


async def on_conflict_do_update_excluded(session, file):
    await session.execute(insert_or_update(session.bind, "id", {"id": 1, "file": file}))


async def dml_in_a_cte(session, file):
    written = insert(Book.__table__).values(id=2, file=file).returning(Book.__table__.c.id).cte("written")
    await session.execute(select(written.c.id))


async def update_in_a_cte(session, file):
    table = Book.__table__
    written = update(table).where(table.c.id == 1).values(file=file).returning(table.c.id).cte("written")
    await session.execute(select(Loan.id).where(Loan.id.in_(select(written.c.id))))


async def dml_in_a_cte_of_an_update(session, file):
    written = insert(Book.__table__).values(id=2, file=file).returning(Book.__table__.c.id).cte("written")
    await session.execute(update(Loan.__table__).values(shelf_id=None).add_cte(written))


async def bulk_save_objects(session, file):
    await session.run_sync(lambda sync: sync.bulk_save_objects([Book(id=2, file=file)]))


async def bulk_save_changed_objects(session, file):
    book = await session.get(Book, 1)
    session.expunge(book)
    book.file = file
    await session.run_sync(lambda sync: sync.bulk_save_objects([book]))


async def bulk_insert_mappings(session, file):
    await session.run_sync(lambda sync: sync.bulk_insert_mappings(Book, [{"id": 2, "file": file}]))


async def bulk_update_mappings(session, file):
    await session.run_sync(lambda sync: sync.bulk_update_mappings(Book, [{"id": 1, "file": file}]))


async def insert_on_the_connection(session, file):
    await (await session.connection()).execute(insert(Book.__table__).values(id=2, file=file))


async def insert_many_on_the_connection(session, file):
    rows = [{"id": 2, "file": file}, {"id": 3, "file": None}]
    await (await session.connection()).execute(insert(Book.__table__), rows)


async def update_on_the_connection(session, file):
    table = Book.__table__
    await (await session.connection()).execute(update(table).where(table.c.id == 1).values(file=file))


UNCLAIMED = [
    insert_from_select,
    insert_a_subquery,
    update_to_a_subquery,
    update_to_an_expression,
    set_an_attribute,
    set_an_attribute_that_coerces,
    add_an_object_with_an_expression,
    insert_by_a_parameter,
    insert_by_many_parameters,
    update_by_a_parameter,
    update_by_many_parameters,
    update_by_primary_key,
    on_conflict_do_update,
    on_conflict_do_update_excluded,
    dml_in_a_cte,
    update_in_a_cte,
    dml_in_a_cte_of_an_update,
    bulk_save_objects,
    bulk_save_changed_objects,
    bulk_insert_mappings,
    bulk_update_mappings,
    insert_on_the_connection,
    insert_many_on_the_connection,
    update_on_the_connection,
]
POSTGRESQL_ONLY = {dml_in_a_cte, update_in_a_cte, dml_in_a_cte_of_an_update}
ON_ALL = [each for each in UNCLAIMED if each not in POSTGRESQL_ONLY]
ON_SERVERS = [*product(["postgresql"], UNCLAIMED), *product(["mariadb"], ON_ALL)]
EVERYWHERE = [*product(["sqlite"], ON_ALL), *ON_SERVERS]


async def condemned(sessions, ledger):
    """The id of a file that the last row has just given up, and the worker has not yet deleted."""
    async with sessions.begin() as session:
        session.add_all([Book(id=1, title="one"), Loan(id=1, file=pending("wanted"))])
    async with sessions.begin() as session:
        loan = await session.get(Loan, 1)
        file_id = loan.file.file_id
        await session.delete(loan)
    return file_id


async def state_of(engine, ledger, file_id):
    async with engine.connect() as connection:
        return await connection.scalar(select(ledger.table.c.state).where(ledger.table.c.id == file_id))


@only_level_2
class TestClaimedOrRefused:
    """A ledger knows of every file that a statement names, or the statement is refused; none is ignored."""

    @pytest.mark.parametrize(("database_url", "write"), ON_SERVERS, indirect=["database_url"])
    async def test_a_worker_in_the_middle(self, engine, sessions, ledger, left, write):
        """The worker asks which rows name the file while ours is not committed yet."""
        await self.check(engine, sessions, ledger, left, write, drain=True)

    @only_sqlite
    @pytest.mark.parametrize("write", ON_ALL)
    async def test_a_worker_afterwards(self, engine, sessions, ledger, left, write):
        await self.check(engine, sessions, ledger, left, write, drain=False)

    async def check(self, engine, sessions, ledger, left, write, *, drain):
        file_id = await condemned(sessions, ledger)
        async with kept_or_refused(2) as attempt, sessions() as session:
            await write(session, file_id)
            if drain:
                await ledger.drain()
            await session.commit()
        await ledger.drain()
        await settle(ledger)
        assert await named(engine, Base.metadata) == ([] if attempt.is_refused else ["wanted"])
        if not attempt.is_refused:
            assert await state_of(engine, ledger, file_id) == "live"
            assert await left() == {"wanted"}

    @pytest.mark.parametrize(("database_url", "write"), EVERYWHERE, indirect=["database_url"])
    async def test_a_file_that_is_gone(self, engine, sessions, ledger, write):
        file_id = await condemned(sessions, ledger)
        await settle(ledger)

        async def work():
            async with sessions.begin() as session:
                await write(session, file_id)

        with pytest.raises((FileGoneException, InvalidArgumentException)):
            await work()
        assert await named(engine, Base.metadata) == []

    @pytest.mark.parametrize(("database_url", "write"), ON_SERVERS, indirect=["database_url"])
    async def test_rolled_back(self, engine, sessions, ledger, left, write):
        """A file that was claimed for nothing is swept."""
        file_id = await condemned(sessions, ledger)
        async with kept_or_refused(2), sessions() as session:
            await write(session, file_id)
            await session.rollback()
        assert await named(engine, Base.metadata) == []
        assert await left() == set()
