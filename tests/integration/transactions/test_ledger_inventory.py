"""`sweep(inventory=True)`: files that neither a row nor the ledger knows, and all the others, which are left alone."""

from datetime import timedelta

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, text

from async_storages import InvalidArgumentException, SweepRefusedException, registry
from async_storages.integrations.sqlalchemy import FileLedger, FileType
from tests.support.chosen_ids import ChosenIdsStorage
from tests.support.ledgers import in_journal, settle
from tests.support.tracked import Base, Book, files, pending

AT_ONCE = timedelta(0)


@pytest.fixture
def level():
    return 2


@pytest.fixture
async def set_back(engine, sessions, ledger):
    """Files are stored and named, and then the database is set back to before that."""

    async def set_back(*names):
        async with sessions.begin() as session:
            session.add_all([Book(id=number, file=pending(name)) for number, name in enumerate(names, 100)])
        await ledger.drain()
        await in_journal(ledger, lambda connection, journal: connection.execute(journal.delete()))
        async with engine.begin() as connection:
            for name in names:
                await connection.execute(text("DELETE FROM stored_files WHERE id LIKE :name"), {"name": f"%_{name}"})
            await connection.execute(text("DELETE FROM books WHERE id >= 100"))

    return set_back


async def test_files_that_are_newer_than_a_restored_dump(sessions, storage, ledger, set_back):
    async with sessions.begin() as session:
        session.add(Book(id=1, file=pending("before")))
    await set_back("after", "also after")
    assert await ledger.sweep(AT_ONCE) == 0
    assert await ledger.sweep(AT_ONCE, inventory=True) == 2
    assert (await ledger.drain()).deleted == 2
    assert await files(storage) == {"before"}
    assert await ledger.sweep(AT_ONCE, inventory=True) == 0


async def test_what_the_ledger_cannot_have_written_stays(engine, storage, ledger, set_back):
    await set_back("after")
    async with engine.begin() as connection:
        file = await storage.save(b"", "named by a row")
        await connection.execute(text("INSERT INTO loans (id, file) VALUES (1, :file)"), {"file": file.file_id})
    await ledger.save(storage, b"", "being uploaded")
    await storage.upload(b"", "a key of its own")
    await storage.upload(b"", "5f0c7a4be11c9d2_too short")
    await storage.save(b"", "of another folder", folder="elsewhere")
    token = "6921c0de." + "Zk3_" * 10 + "abc"
    await storage.upload(b"", f"pending/{token}/5f0c7a4be11c9d20_pending")
    before = await files(storage)
    assert await ledger.sweep(AT_ONCE, inventory=True) == 1
    await ledger.drain()
    assert before - await files(storage) == {"after"}
    assert await ledger.sweep(AT_ONCE, inventory=True, prefix="pending/") == 0


async def test_what_is_young_stays(storage, ledger, set_back):
    await set_back("after")
    assert await ledger.sweep(inventory=True) == 0


async def test_what_a_row_names_before_it_is_deleted_stays(engine, storage, ledger, set_back):
    await set_back("after")
    assert await ledger.sweep(AT_ONCE, inventory=True) == 1
    [info] = [info async for info in storage.list() if info.file_name == "after"]
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO loans (id, file) VALUES (1, :file)"), {"file": info.file_id})
    assert (await ledger.drain()).kept == 1
    assert await files(storage) == {"after"}


async def test_folders_of_columns_and_a_prefix(engine, storage):
    metadata = MetaData()
    Table(
        "reports",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("file", FileType("documents", folder="reports")),
        Column("own", FileType("documents", upload_to=lambda target, name: f"years/2026/{name}")),
    )
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    ledger = FileLedger(engine, metadata)
    await ledger.create()
    for folder in ("", "reports", "reports/2026", "years/2026", "others"):
        await storage.save(b"", folder or "root", folder=folder)
    for prefix, swept in ((None, "reports"), ("reports/", "2026"), ("years/", "2026")):
        before = {info.file_id async for info in storage.list()}
        assert await ledger.sweep(AT_ONCE, inventory=True, prefix=prefix) == 1
        await ledger.drain()
        [gone] = before - {info.file_id async for info in storage.list()}
        assert gone.endswith(f"_{swept}")
        assert gone.startswith(f"mem:{prefix or 'reports/'}")
    assert await files(storage) == {"root", "others"}
    await ledger.aclose()


class TestBrakes:
    async def test_more_than_a_tenth(self, storage, ledger, set_back):
        await set_back(*map(str, range(11)))
        with pytest.raises(SweepRefusedException, match="11 files are named by no row"):
            await ledger.sweep(AT_ONCE, inventory=True)
        assert (await ledger.drain()).deleted == 0
        assert await ledger.sweep(AT_ONCE, inventory=True, force=True) == 11

    async def test_another_ledger_in_the_same_storage(self, engine, storage, ledger, set_back):
        """Its files look the same: it says where its own are."""
        other = FileLedger(engine, Base.metadata, name="other_files", owner="another application")
        await other.create()
        await storage.save(b"", "theirs")
        await set_back("after")
        with pytest.raises(SweepRefusedException, match=r"another database.*say by `prefix=`"):
            await ledger.sweep(AT_ONCE, inventory=True, force=True)
        assert await files(storage) == {"theirs", "after"}
        async with engine.begin() as connection:
            for name in ("other_files", "other_files_journal", "other_files_columns"):
                Base.metadata.remove(Base.metadata.tables[name])
                await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")

    async def test_a_mark_of_its_own_that_a_restored_database_has_forgotten(self, engine, storage, ledger, set_back):
        await set_back("after")
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM stored_files WHERE state = 'mark'"))
        assert await FileLedger(engine, Base.metadata).sweep(AT_ONCE, inventory=True) == 1

    async def test_a_column_that_is_not_known(self, engine, storage, ledger, set_back):
        await set_back("after")
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO stored_files_columns VALUES ('invoices', 'file', 0)"))
        with pytest.raises(SweepRefusedException, match=r"invoices\.file"):
            await ledger.sweep(AT_ONCE, inventory=True)

    async def test_a_prefix_needs_an_inventory(self, ledger):
        with pytest.raises(InvalidArgumentException, match="prefix="):
            await ledger.sweep(prefix="reports/")


async def test_storages_that_cannot_list_are_passed_over(engine, ledger):
    with registry.override("documents", ChosenIdsStorage()) as storage:
        saved = await storage.save(b"", "chosen")
        assert await ledger.sweep(AT_ONCE, inventory=True, prefix="") == 0
        await settle(ledger)
        assert await saved.exists()


async def test_thousands_of_files_are_listed_in_batches(engine, storage, ledger, monkeypatch):
    for number in range(1203):
        await storage.save(b"", str(number))
    assert await ledger.sweep(AT_ONCE, inventory=True, force=True) == 1203
    assert (await ledger.drain()).deleted == 1203
