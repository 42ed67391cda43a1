"""Files and rows move, and stay together: what a user sees of plan, run, rollback and finish."""

import asyncio
import re
from pathlib import Path

import pytest
from sqlalchemy import event, select, text

from async_storages import (
    FileGoneException,
    InvalidArgumentException,
    PendingFile,
    RouteNotSupportedException,
    StorageUnavailableException,
    registry,
)
from async_storages.integrations.sqlalchemy import Migration
from tests.support.moving import Album, Base, Copy, Paper

pytestmark = pytest.mark.matrix


async def file_of(app, id_=1, class_=Paper):
    async with app.sessions() as session:
        return (await session.get(class_, id_)).file


async def test_rows_name_the_copies_and_the_old_files_stay(app, papers, move, contents, present):
    await papers("a", "b", "c")
    moved = await move()
    assert (moved.moved, moved.failed, moved.bytes) == (3, 0, 3)
    assert await contents() == ["a", "b", "c"]
    file = await file_of(app)
    assert file.scheme == "mem"
    assert (file.name.rpartition("/")[0], file.filename) == ("reports", "a.txt")
    assert await present(app.source) == await present(app.target) == ["a.txt", "b.txt", "c.txt"]


async def test_after_the_finish_only_the_copies_are_there(app, papers, move, contents, present):
    await papers("a", "b")
    await move()
    finished = await app.migration.finish()
    assert (finished.deleted, finished.kept, finished.failed) == (2, 0, 0)
    assert await present(app.source) == []
    assert await contents() == ["a", "b"]
    status = await app.migration.status()
    assert (status.finished, status.moved, status.left, status.bytes) == (2, 0, 0, 2)


async def test_rolled_back_rows_name_their_old_files_and_the_copies_go(app, papers, move, contents, present):
    await papers("a", "b")
    before = await file_of(app)
    await move()
    rolled_back = await app.migration.rollback()
    assert (rolled_back.undone, rolled_back.failed) == (2, 0)
    assert await file_of(app) == before
    await app.migration.finish()
    assert await contents() == ["a", "b"]
    assert await present(app.target) == []
    assert await present(app.source) == ["a.txt", "b.txt"]


async def test_a_part_is_rolled_back_and_moved_again(app, papers, move, contents):
    await papers("a", "b")
    await move()
    moved = await file_of(app)
    assert (await app.migration.rollback([moved.file_id])).undone == 1
    assert [(await file_of(app, id_)).scheme for id_ in (1, 2)] == ["file", "mem"]
    assert (await move()).moved == 1
    assert await contents() == ["a", "b"]


async def test_new_files_of_the_source_are_planned_again_and_none_twice(app, papers, move):
    await papers("a")
    assert (await app.migration.plan()).added == 1
    await papers("b")
    planned = await app.migration.plan()
    assert (planned.added, planned.again) == (1, 0)
    assert (await app.migration.plan(dry_run=True)).rows == 2
    assert (await move()).moved == 2
    assert (await move()).moved == 0


async def test_a_file_of_several_rows_columns_and_lists_moves_once(app, papers, move, contents, present):
    await papers("a", "b")
    first, second = await file_of(app), await file_of(app, 2)
    async with app.sessions.begin() as session:
        session.add(Copy(file=first))
        session.add(Album(files=[second, first, second]))
    assert (await move()).moved == 2
    copied, album = await file_of(app, 1, Copy), None
    async with app.sessions() as session:
        album = await session.get(Album, 1)
    assert copied == await file_of(app)
    assert album.files == [await file_of(app, 2), copied, await file_of(app, 2)]
    assert await contents() == ["a", "b", "b", "a", "b"]
    assert await present(app.target) == ["a.txt", "b.txt"]


async def test_what_users_see_beside_the_file_stays(app, papers, move):
    await papers("a")
    async with app.sessions.begin() as session:
        paper = await session.get(Paper, 1)
        paper.shown_name = "Annual report.txt"
    async with app.sessions() as session:
        before = (await session.get(Paper, 1)).changed
    await move()
    async with app.sessions() as session:
        paper = await session.get(Paper, 1)
    assert (paper.shown_name, paper.size, paper.changed) == ("Annual report.txt", 1, before)
    assert paper.file.name.endswith("_Annual report.txt")


async def test_a_missing_source_is_listed_and_tried_again_on_demand(app, papers, move, contents):
    await papers("a", "b")
    lost = await file_of(app)
    await app.source.delete(lost.file_id)
    moved = await move()
    assert (moved.moved, moved.missing) == (1, 1)
    [failure] = [each async for each in app.migration.failures()]
    assert (failure.file_id, failure.is_missing) == (lost.file_id, True)
    assert (await move()).missing == 0
    await app.source.upload(b"a", lost.file_id)
    assert (await app.migration.plan(retry=True)).again == 1
    assert (await app.migration.run()).moved == 1
    assert await contents() == ["a", "b"]


async def test_a_row_that_is_gone_when_its_turn_comes_moves_nothing(app, papers, present):
    await papers("a", "b")
    await app.migration.plan()
    async with app.sessions.begin() as session:
        await session.delete(await session.get(Paper, 1))
    moved = await app.migration.run()
    assert (moved.moved, moved.gone) == (1, 1)
    await app.migration.finish()
    assert (await present(app.source), await present(app.target)) == ([], ["b.txt"])


async def test_a_session_that_loaded_the_old_id_replaces_the_file(app, papers, move, contents, present):
    await papers("a", "b")
    async with app.sessions() as session:
        paper = await session.get(Paper, 1)
        await session.commit()
        await move()
        async with session.begin():
            paper.file = PendingFile(b"new", filename="new.txt")
    assert await contents() == ["new", "b"]
    assert await present(app.target) == ["b.txt", "new.txt"]
    assert await present(app.source) == ["a.txt", "b.txt"], "the way back"
    await app.migration.finish()
    assert await present(app.source) == []
    assert await contents() == ["new", "b"]


async def test_a_session_that_loaded_the_old_id_deletes_the_row(app, papers, move, present):
    await papers("a", "b")
    async with app.sessions() as session:
        paper = await session.get(Paper, 1)
        await session.commit()
        await move()
        async with session.begin():
            await session.delete(paper)
    assert await present(app.target) == ["b.txt"]
    assert await present(app.source) == ["a.txt", "b.txt"]
    await app.migration.finish()
    assert await present(app.source) == []


async def test_an_old_id_that_is_assigned_again_is_moved_again(app, papers, move, contents, present):
    """As by a form that was open all the while."""
    await papers("a", "b")
    old = await file_of(app)
    await move()
    async with app.sessions.begin() as session:
        session.add(Copy(file=old.file_id))
        (await session.get(Paper, 2)).file = old.file_id
    assert await contents() == ["a", "a"]
    assert (await app.migration.finish()).kept == 1
    assert (await app.migration.plan()).again == 1
    assert (await app.migration.run()).moved == 1
    assert len({await file_of(app), await file_of(app, 2), await file_of(app, 1, Copy)}) == 1
    await app.migration.finish()
    assert await contents() == ["a", "a"]
    assert (await present(app.source), await present(app.target)) == ([], ["a.txt"])


async def test_a_list_that_was_loaded_before_its_files_moved(app, papers, move, contents):
    await papers("a", "b")
    async with app.sessions.begin() as session:
        session.add(Album(files=[await file_of(app), await file_of(app, 2)]))
    async with app.sessions() as session:
        album = await session.get(Album, 1)
        await session.commit()
        await move()
        album.files.append(PendingFile(b"c", filename="c.txt"))
        with pytest.raises(FileGoneException, match="refresh the object"):
            await session.commit()
    assert await contents() == ["a", "b", "a", "b"]


async def test_a_row_that_somebody_has_locked_moves_when_it_is_free(app, papers, contents, engine):
    if engine.dialect.name == "sqlite":
        return  # it has no locks of rows
    await papers("a", "b")
    await app.migration.plan()
    async with app.sessions() as session:
        await session.get(Paper, 1, with_for_update=True)
        moved = await app.migration.run(limit=2)
        assert moved.moved == 1
    assert (await app.migration.run()).moved == 1
    assert await contents() == ["a", "b"]


async def test_nothing_is_planned_before_the_columns_can_name_the_target(app, papers):
    await papers("a")
    message = r"papers\.file does not serve the target's ids"
    with registry.override("papers", app.source), pytest.raises(RouteNotSupportedException, match=message):
        await app.migration.plan()


async def test_a_ledger_that_was_not_given_is_noticed(app, engine, source, target):
    if app.ledger is not None:
        other = Migration(engine, Base.metadata, source=source, target=target)
        with pytest.raises(InvalidArgumentException, match="give it to the migration"):
            await other.plan()


async def test_an_exact_key_that_somebody_has_is_refused_and_his_file_stays(app, papers, engine):
    await papers("a")
    await app.target.upload(b"somebody's", "taken.txt")
    migration = Migration(
        engine, Base.metadata, source=app.source, target=app.target, ledger=app.ledger, key=lambda _: "taken.txt"
    )
    await migration.plan()
    assert (await migration.run()).failed == 1
    await migration.finish()
    assert await app.target.read("taken.txt") == b"somebody's"
    assert (await file_of(app)).scheme == "file"


async def test_a_rule_chooses_the_key(app, papers, contents, engine):
    await papers("a")
    migration = Migration(
        engine,
        Base.metadata,
        source=app.source,
        target=app.target,
        ledger=app.ledger,
        key=lambda file: f"by/{file.filename}",
    )
    await migration.plan()
    assert (await migration.run()).moved == 1
    assert (await file_of(app)).file_id == "mem:by/a.txt"
    assert await contents() == ["a"]


async def test_a_copy_that_is_not_the_same_is_not_swapped(app, papers, move, monkeypatch):
    await papers("a")
    whole = app.target.stream

    async def broken(name, *args, **options):
        async for chunk in whole(name, *args, **options):
            yield chunk[:-1] + b"?"

    monkeypatch.setattr(app.target, "stream", broken)
    assert (await move()).failed == 1
    assert (await file_of(app)).scheme == "file"
    [failure] = [each async for each in app.migration.failures()]
    assert "the copy is not what the source is" in failure.reason


async def test_paused_stopped_and_limited(app, papers):
    await papers(*"abcdef")
    await app.migration.plan()
    assert (await app.migration.run(limit=2)).moved == 2
    done = []

    def stop_after_one(result):
        done.append(result.moved)
        app.migration.stop()

    assert (await app.migration.run(concurrency=1, on_progress=stop_after_one)).moved == 1
    assert (await app.migration.status()).planned == 3
    assert (await app.migration.run()).moved == 3


async def test_what_was_prepared_when_movers_stopped_is_given_back(app, papers, contents, present):
    names = [f"{number:02}" for number in range(40)]
    await papers(*names)
    await app.migration.plan()
    stopped = await app.migration.run(concurrency=2, on_progress=lambda _: app.migration.stop())
    status = await app.migration.status()
    assert (status.moving, status.moved, status.planned) == (0, stopped.moved, 40 - stopped.moved)
    assert status.planned > 0
    assert (await app.migration.run(concurrency=2)).moved == status.planned
    assert await contents() == names
    await app.migration.finish()
    assert await present(app.target) == [f"{name}.txt" for name in names]


async def test_many_files_share_transactions(app, papers):
    await papers(*(f"{number}" for number in range(64)))
    await app.migration.plan()
    announced = []

    def note(_connection, _cursor, statement, *_):
        if statement.startswith("UPDATE file_moves") and "retained" in statement:
            announced.append(statement)

    event.listen(app.engine.sync_engine, "before_cursor_execute", note)
    assert (await app.migration.run(concurrency=8)).moved == 64
    assert len(announced) <= 4


async def test_a_file_that_fails_among_many_does_not_keep_the_others(app, papers, contents, engine):
    names = [f"{number}" for number in range(20)]
    await papers(*names)
    lost, locked = await file_of(app, 3), 7
    await app.source.delete(lost.file_id)
    await app.migration.plan()
    async with app.sessions() as session:
        if engine.dialect.name != "sqlite":  # it has no locks of rows
            await session.get(Paper, locked, with_for_update=True)
        moved = await app.migration.run(limit=20)
    is_locked = engine.dialect.name != "sqlite"
    assert (moved.moved, moved.missing, moved.failed) == (19 - is_locked, 1, 0)
    assert (await app.migration.run()).moved == is_locked
    await app.source.upload(b"2", lost.file_id)
    assert await contents() == names


async def test_stopped_while_a_file_waits_for_its_storage(app, papers, source, monkeypatch):
    await papers("a")
    await app.migration.plan()

    async def be_away(name):
        raise StorageUnavailableException("the server is away", file_id=str(name))

    monkeypatch.setattr(source, "stat", be_away)
    await app.migration.run(limit=1)  # the file is tried again in five seconds
    asyncio.get_running_loop().call_later(0.3, app.migration.stop)
    await app.migration.run()
    async with app.engine.connect() as connection:
        assert list(await connection.scalars(select(app.migration.table.c.attempts))) == [1]


async def test_two_movers_share_the_files(app, papers, contents, engine, source, target):
    if engine.dialect.name == "sqlite":
        return
    await papers(*"abcdefgh")
    other = Migration(engine, Base.metadata, source=source, target=target, ledger=app.ledger)
    await app.migration.plan()
    first, second = await asyncio.gather(app.migration.run(concurrency=2), other.run(concurrency=2))
    assert (first.moved + second.moved, first.failed + second.failed) == (8, 0)
    assert await contents() == [*"abcdefgh"]


async def test_the_table_says_what_was_done(app, papers, move):
    await papers("a")
    old = await file_of(app)
    await move()
    table = app.migration.table
    async with app.engine.connect() as connection:
        row = (await connection.execute(select(table))).one()
    assert (row.source, row.target, row.state, row.bytes) == (old.file_id, (await file_of(app)).file_id, "moved", 1)
    assert row.checksum == "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert row.attempts == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_settings_of_the_guide_are_taken_by_postgresql(app):
    page = Path(__file__).parents[3].joinpath("docs", "how-to", "migrating-rows.md").read_text(encoding="utf-8")
    [statement] = re.findall(r"^```sql\n(ALTER TABLE file_moves .*?)^```", page, re.DOTALL | re.MULTILINE)
    async with app.engine.begin() as connection:
        await connection.exec_driver_sql(statement)
        set_ = await connection.scalar(text("SELECT reloptions FROM pg_class WHERE relname = 'file_moves'"))
    assert set_ == ["autovacuum_vacuum_scale_factor=0.01", "autovacuum_analyze_scale_factor=0.01"]
