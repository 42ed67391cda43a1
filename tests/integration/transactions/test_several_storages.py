"""Rows over two storages as one: files that are rolled back, replaced or deleted are gone from both."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker as make_sessions

from async_storages import FallbackStorage, LocalStorage, MirroredStorage, StoredFile, registry
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.support.ledgers import forget_ledgers, pass_time, settle
from tests.support.tracked import Base, Book, TroubledStorage, files, pending


@pytest.fixture
def new():
    return TroubledStorage()


@pytest.fixture
def old():
    return TroubledStorage()


@pytest.fixture(params=["fallback", "mirrored"])
def storage(request, new, old):
    """The old storage holds what was there before; it is the mirror in the other case."""
    made = FallbackStorage(new, old) if request.param == "fallback" else MirroredStorage(new, old, strict=True)
    with registry.override("documents", made):
        yield made
    forget_ledgers(Base.metadata)


@pytest.fixture
async def from_before(sessions, storage, old):
    """Row 1, which names a file that only the old storage has."""
    key = await old.upload(b"before", "1234567890abcdef_before.txt")
    if isinstance(storage, MirroredStorage):
        await storage.primary.upload(b"before", key)
    async with sessions.begin() as session:
        session.add(Book(id=1, file=StoredFile(f"mem:{key}")))


async def in_each(storage):
    return [await files(member) for member in storage.members]


async def test_a_rollback_leaves_nothing(sessions, storage, left, from_before):
    async with sessions() as session:
        session.add(Book(id=2, file=pending("new.txt")))
        (await session.get(Book, 1)).file = pending("other.txt")
        await session.flush()
        await session.rollback()
    assert await left() == {"before.txt"}
    assert (await in_each(storage))[1] == {"before.txt"}


async def test_a_replaced_file_is_gone_from_both(sessions, storage, left, rows, from_before):
    async with sessions.begin() as session:
        (await session.get(Book, 1)).file = pending("new.txt")
    assert await left() == {"new.txt"}
    assert await rows() == {1: "new.txt"}
    is_mirrored = isinstance(storage, MirroredStorage)
    assert await in_each(storage) == [{"new.txt"}, {"new.txt"} if is_mirrored else set()]


async def test_a_deleted_row_leaves_nothing(sessions, storage, left, from_before):
    async with sessions.begin() as session:
        session.add(Book(id=2, file=pending("new.txt")))
    async with sessions.begin() as session:
        for number in (1, 2):
            await session.delete(await session.get(Book, number))
    assert await left() == set()
    assert await in_each(storage) == [set(), set()]


@pytest.mark.parametrize("level", [2], ids=["level 2"], indirect=True)
async def test_a_sweep_finds_what_raw_sql_has_left(sessions, storage, left, from_before, ledger, old):
    async with sessions.begin() as session:
        session.add(Book(id=2, file=pending("new.txt")))
    await ledger.adopt()
    async with sessions.begin() as session:
        await session.execute(text("DELETE FROM books"))
    assert await left() == set()
    assert await in_each(storage) == [set(), set()]


@pytest.mark.parametrize("level", [2], ids=["level 2"], indirect=True)
async def test_a_worker_repeats_what_one_of_the_servers_refused(sessions, storage, ledger, from_before, old):
    async with sessions.begin() as session:
        await session.delete(await session.get(Book, 1))
    old.refused = {"delete"}
    await pass_time(ledger)
    drained = await ledger.drain()
    assert (drained.deleted, drained.failed) == (0, 1)
    old.refused = set()
    await settle(ledger)
    assert await in_each(storage) == [set(), set()]


@pytest.mark.parametrize("level", [2], ids=["level 2"], indirect=True)
@pytest.mark.parametrize("storage", ["fallback"], indirect=True)
async def test_an_inventory_finds_what_either_has(storage, ledger, sessions, old, new):
    async with sessions.begin() as session:
        session.add(Book(id=2, file=pending("kept.txt")))
    await old.upload(b"", "1234567890abcdef_lost.txt")
    await new.upload(b"", "abcdef1234567890_lost.txt")
    assert await ledger.sweep(timedelta(0), force=True, inventory=True) == 2
    await settle(ledger)
    assert await in_each(storage) == [{"kept.txt"}, set()]


@pytest.mark.parametrize("level", [2], ids=["level 2"], indirect=True)
@pytest.mark.parametrize("name", ["documents", None])
async def test_a_ledger_goes_on_where_the_old_storage_was_alone(engine, tmp_path, name, level):
    """Its entries and its mark are those of the old storage; their label is the name, or the old folder."""

    async def work(storage, change):
        with registry.override("documents", storage):
            ledger = FileLedger(engine, Base.metadata)
            async with enable_file_tracking(make_sessions(engine), ledger=ledger).begin() as session:
                await change(session)
            await settle(ledger)
            forget_ledgers(Base.metadata)

    async def create(session):
        session.add_all(Book(id=number, file=pending(f"{number}.txt")) for number in (1, 2))

    async def replace(session):
        (await session.get(Book, 1)).file = pending("new.txt")

    async def delete(session):
        for number in (1, 2):
            await session.delete(await session.get(Book, number))

    with registry.isolated():
        await work(LocalStorage(tmp_path / "old", name=name), create)
    with registry.isolated():
        folders = [LocalStorage(tmp_path / folder) for folder in ("new", "old")]
        await work(storage := FallbackStorage(*folders, name=name), replace)
        assert await files(storage) == {"2.txt", "new.txt"}
        await work(storage, delete)
        assert await in_each(storage) == [set(), set()]
