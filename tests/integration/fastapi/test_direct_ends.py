"""Direct uploads that are broken off, forgotten or crashed in the middle: nothing is left that nobody knows."""

import asyncio
import os
import re
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import (
    InvalidArgumentException,
    LocalStorage,
    OperationNotSupportedException,
    StorageException,
    StorageUnavailableException,
    StoredFile,
    events,
    registry,
)
from async_storages.integrations.fastapi import DirectUploads
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger import journal
from async_storages.scanning.quarantine import review_quarantined_file
from async_storages.scanning.verdicts import Clean
from async_storages.testing.contract.cancellation import cancelled_at
from async_storages.testing.contract.processes import in_child
from tests.support.direct import CLOCK, PNG, SECRET, a_day_later, all_of, by_form, client_of, held_by
from tests.support.ledgers import in_journal, settle
from tests.support.patience import HANGS
from tests.support.tracked import Base, Book


async def sent(storage, uploads, content=PNG):
    """The key of an upload that has arrived."""
    begun = await uploads.start("cat.png", len(content))
    await storage.upload(content, begun.key, content_type="image/png")
    return begun.key


async def outside_of(folder, storage):
    return [file_id for file_id in await held_by(storage) if f"{folder}/" not in file_id]


# ---- cancelled


async def test_an_attach_that_is_cancelled_anywhere_leaves_no_file(storage):
    async with storage:
        uploads = DirectUploads(storage, SECRET, folder="photos")
        for suspension in count():
            key = await sent(storage, uploads)
            if not await cancelled_at(suspension, uploads.attach(key)):
                break
            assert await outside_of("pending", storage) == []
            assert [file_id for file_id in await all_of(storage) if "/attached-" in file_id] == []
        assert suspension > 3
        assert len(await outside_of("pending", storage)) == 1


async def test_an_upload_whose_deletion_gets_no_answer_is_attached(tmp_path):
    """It may be gone: who gave up the copy for that would lose both."""

    class Unanswered(LocalStorage):
        async def delete(self, name):
            await super().delete(name)
            if "pending/" in str(name) and "/attached-" not in str(name):
                raise StorageUnavailableException("no answer in time")

    async with Unanswered(tmp_path / "files", base_url="http://test/stored", secret_key=SECRET) as storage:
        uploads = DirectUploads(storage, SECRET, folder="photos")
        file = await uploads.attach(await sent(storage, uploads))
        assert await file.read() == PNG


def test_a_folder_that_would_be_taken_for_a_claim_is_refused(tmp_path):
    storage = LocalStorage(tmp_path / "files", base_url="http://test/stored", secret_key=SECRET)
    with pytest.raises(InvalidArgumentException, match="attached-"):
        DirectUploads(storage, SECRET, folder="attached-files")


async def test_an_attach_that_is_cancelled_anywhere_leaves_no_claim_in_a_ledger(tmp_path):
    async with running_on(tmp_path) as (storage, ledger):
        uploads = DirectUploads(storage, SECRET, folder="photos", ledger=ledger)
        for suspension in count():
            key = await sent(storage, uploads)
            if not await cancelled_at(suspension, uploads.attach(key)):
                break
            assert await claims_in(ledger, key) == set()
        assert await claims_in(ledger, key) == {f"file:{key}"}
        assert await all_of(storage) == await held_by(storage)


async def claims_in(ledger, key):
    return await in_journal(ledger, journal.find, [f"file:{key}"])


async def test_what_was_sent_again_after_it_was_attached_is_removed_by_the_ledger(tmp_path):
    async with running_on(tmp_path) as (storage, ledger):
        uploads = DirectUploads(storage, SECRET, folder="photos", ledger=ledger)
        key = await sent(storage, uploads)
        attached = await uploads.attach(key)
        await ledger.pin(attached)
        await storage.upload(PNG, key)
        await settle(ledger)
        assert await outside_of("async-storages-ledger", storage) == [attached.file_id]
        assert await claims_in(ledger, key) == set()


class Unlistable(LocalStorage):
    """Cannot be listed."""

    list = None


async def test_a_storage_that_cannot_be_listed_needs_another_way_to_claim_uploads(tmp_path):
    async with Unlistable(tmp_path / "files", base_url="/stored", secret_key=SECRET) as storage:
        uploads = DirectUploads(storage, SECRET)
        key, names = await sent(storage, uploads), []

        async def claim(name):
            names.append(name)

        with pytest.raises(OperationNotSupportedException, match="claim="):
            await uploads.attach(key)
        assert await (await uploads.attach(key, claim=claim)).read() == PNG
        await storage.upload(PNG, key)
        await uploads.attach(key, claim=claim)
        assert len(names) == 2
        assert len({*names}) == 1
        assert re.fullmatch("[0-9a-f]{64}", names[0])


async def test_what_a_claim_raises_ends_the_attach_before_anything_is_copied(storage):
    async def claim(_name):
        raise LookupError("it was attached before")

    async with storage:
        uploads = DirectUploads(storage, SECRET, folder="photos")
        key = await sent(storage, uploads)
        with pytest.raises(LookupError):
            await uploads.attach(key, claim=claim)
        assert await all_of(storage) == [str(storage.identify(key))]


# ---- forgotten


async def test_what_nobody_attaches_in_time_is_removed(storage):
    async with client_of(storage) as (client, uploads):
        _, kept = await by_form(client, PNG, "kept.png")
        await by_form(client, PNG, "forgotten.png")
        foreign = await storage.upload(b"x", "pending/readme.txt")
        attached = await uploads.attach(kept)
        assert await uploads.remove_expired() == 0
        with a_day_later():
            assert await uploads.remove_expired() == 1
        assert await all_of(storage) == sorted([attached.file_id, str(storage.identify(foreign))])


@pytest.mark.parametrize("moment", ["stat", "copy", "delete"])
async def test_an_upload_that_expires_while_it_is_attached_is_a_file_or_gone(storage, moment):
    async with storage:
        uploads = DirectUploads(storage, SECRET, folder="photos", clock=CLOCK)
        key, removals = await sent(storage, uploads), []

        def expire(event):
            if event.operation == moment and not removals:
                time_is_over.enter_context(a_day_later())
                removals.append(asyncio.ensure_future(uploads.remove_expired()))

        with ExitStack() as time_is_over, pytest.MonkeyPatch.context() as patched:
            patched.setattr(events, "hooks", [*events.hooks, expire])
            [attached] = await asyncio.gather(uploads.attach(key), return_exceptions=True)
            await asyncio.gather(*removals)
        assert removals
        expected = [attached.file_id] if isinstance(attached, StoredFile) else []
        assert expected or isinstance(attached, StorageException)
        assert await held_by(storage) == expected


class Unsteady(LocalStorage):
    """Cannot be listed the first time."""

    is_away = True

    async def list(self, prefix=""):
        if self.is_away:
            self.is_away = False
            raise StorageUnavailableException("told to")
        async for info in super().list(prefix):
            yield info


async def test_a_worker_removes_them_and_goes_on_when_the_storage_fails(tmp_path, caplog, monkeypatch):
    storage, removed = Unsteady(tmp_path / "files", base_url="/stored", secret_key=SECRET), asyncio.Event()
    uploads = DirectUploads(storage, SECRET, clock=CLOCK)
    await sent(storage, uploads)
    monkeypatch.setattr(events, "hooks", [lambda event: event.operation == "delete" and removed.set()])
    with a_day_later():
        async with asyncio.timeout(HANGS), uploads.running(timedelta(0)):
            await removed.wait()
    assert await held_by(storage) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "told to" in caplog.text
    assert len(asyncio.all_tasks()) == 1


# ---- rolled back


async def test_a_file_whose_row_is_rolled_back_goes(storage, tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}")
    async with storage, engine.connect() as connection:
        with registry.override("documents", storage):
            uploads = DirectUploads(storage, SECRET)
            async with enable_file_tracking(async_sessionmaker(connection))() as session:
                await session.run_sync(lambda plain: Base.metadata.create_all(plain.connection()))
                session.add(Book(file=await uploads.attach(await sent(storage, uploads))))
                await session.flush()
                await session.rollback()
            assert await held_by(storage) == []
    await engine.dispose()


# ---- crashed


async def attach(storage, ledger):
    uploads = DirectUploads(storage, SECRET, folder="released", ledger=ledger)
    await uploads.attach(await sent(storage, uploads))


class Finds:
    """A scanner that finds nothing."""

    async def scan(self, _file):
        return Clean()


async def release(storage, ledger):
    file = await storage.save(b"harmless", "a.txt", folder="pending")
    await review_quarantined_file(file, Finds(), folder="released", ledger=ledger)


@asynccontextmanager
async def running_on(folder):
    """A storage with a ledger, as the application opens them."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'test.sqlite'}")
    storage = LocalStorage(folder / "files", base_url="/stored", secret_key=SECRET)
    with registry.override("documents", storage):
        async with FileLedger(engine, Base.metadata) as ledger:
            await ledger.create()
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            yield storage, ledger
    await engine.dispose()


@pytest.mark.parametrize("work", [attach, release], ids=["attach", "review"])
async def test_a_copy_that_a_crash_left_is_removed_by_the_ledger(tmp_path, work):
    async def crash():
        events.hooks.append(lambda event: event.operation == "copy" and os._exit(9))
        async with running_on(tmp_path) as (storage, ledger):
            await work(storage, ledger)

    assert "the child died" in await asyncio.to_thread(in_child, crash)
    async with running_on(tmp_path) as (storage, ledger):
        released = [file_id for file_id in await held_by(storage) if file_id.startswith("file:released/")]
        assert len(released) == 1
        await settle(ledger)
        assert not await storage.exists(released[0])
