"""Attacks on direct uploads, on every server: a file that a committed row names stays, with its bytes.

Whoever uploads by a form may send to it again until it expires, and may call the application's route as often and as
soon as he likes. What servers make of conditions differs: see tests/support/s3_servers.py.
"""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import (
    FileExistsException,
    FileNotFoundException,
    FileTypeConfig,
    FileValidator,
    InvalidFileTypeException,
    LocalStorage,
    StorageException,
    events,
    registry,
)
from async_storages.integrations.fastapi import DirectUploads
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.support.corpus import image
from tests.support.direct import PNG, SECRET, held_by
from tests.support.ledgers import forget_ledgers, settle
from tests.support.patience import TIME_OUT
from tests.support.s3_kinds import SERVERS, local_storage, storage_on
from tests.support.tracked import Base, Book

pytestmark = pytest.mark.matrix

OTHER = image("PNG", (9, 9))
HTML = b"<!DOCTYPE html><script>alert(1)</script>"
RULES = FileValidator(FileTypeConfig(type_whitelist=["image/*"]), max_file_size=10_000)
REFUSALS = (FileExistsException, FileNotFoundException)


@pytest.fixture(params=[*SERVERS, "local"])
def server(request):
    return None if request.param == "local" else request.getfixturevalue(SERVERS[request.param])


@pytest.fixture
async def storage(server, tmp_path):
    async with local_storage(tmp_path) if server is None else storage_on(server) as storage:
        yield storage


@pytest.fixture(params=[False, True], ids=["", "ledger"])
async def app(request, storage, tmp_path, no_blocking_calls):
    """An application: its uploads, its sessions, and what is left of files when all workers have done their work."""
    no_blocking_calls.deactivate()  # the attacker's requests are sent from hooks
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}")
    with registry.override("documents", storage):
        ledger = FileLedger(engine, Base.metadata) if request.param else None
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        if ledger is not None:
            await ledger.create()
        yield SimpleNamespace(
            storage=storage,
            ledger=ledger,
            begin=DirectUploads(storage, SECRET, folder="photos").start,  # under no rules
            uploads=DirectUploads(storage, SECRET, folder="photos", validator=RULES, ledger=ledger),
            sessions=enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False), ledger=ledger),
        )
        if ledger is not None:
            await ledger.aclose()
    forget_ledgers(Base.metadata)
    await engine.dispose()


class Attacker:
    """Somebody who was given one form, and keeps it."""

    def __init__(self, app, begun):
        self._storage = app.storage
        self.begun = begun
        self.key = begun.key

    @classmethod
    async def begin(cls, app, content=PNG):
        attacker = cls(app, await app.begin("cat.png"))
        attacker.send(content)
        return attacker

    def send(self, content):
        """Post the form, at once, as another process may."""
        if isinstance(self._storage, LocalStorage):
            path = self._storage.root.joinpath(self.key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            return
        sent = httpx.post(self.begun.url, data=self.begun.fields, files={"file": content}, timeout=TIME_OUT)
        sent.raise_for_status()


@asynccontextmanager
async def added(app, key, title):
    """A session that has attached an upload and named it in a row."""
    async with app.sessions() as session:
        book = Book(title=title, file=await app.uploads.attach(key))
        session.add(book)
        await session.flush()
        yield session, book


async def committed(app, key, title="victim"):
    async with added(app, key, title) as (session, book):
        await session.commit()
    return book.file.file_id


async def attached_files(app):
    """All that is in the folder of attached files, when the workers have done what there was to do."""
    if app.ledger is not None:
        await settle(app.ledger)
    return [file_id for file_id in await held_by(app.storage) if "photos/" in file_id and "pending/" not in file_id]


async def check_rows(app, contents):
    """Each row's file is there with its bytes, and there is no other one."""
    left = await attached_files(app)
    async with app.sessions() as session:
        rows = {book.title: book.file for book in await session.scalars(select(Book))}
    assert sorted(file.file_id for file in rows.values()) == left
    assert {title: await file.read() for title, file in rows.items()} == contents


async def test_other_content_sent_to_the_form_again_replaces_nothing(app):
    attacker = await Attacker.begin(app)
    await committed(app, attacker.key)
    attacker.send(OTHER)
    with pytest.raises(REFUSALS):
        await app.uploads.attach(attacker.key)
    await check_rows(app, {"victim": PNG})


@pytest.mark.parametrize("content", [HTML, PNG + bytes(20_000)], ids=["type", "size"])
async def test_refused_content_sent_to_the_form_again_removes_nothing(app, content):
    attacker = await Attacker.begin(app)
    await committed(app, attacker.key)
    for _ in range(2):
        attacker.send(content)
        with pytest.raises(StorageException):
            await app.uploads.attach(attacker.key)
    await check_rows(app, {"victim": PNG})


async def test_of_two_who_attach_at_once_one_has_a_file(app):
    """Twelve rounds, as the race was lost in each of twelve."""
    contents = {}
    for number in range(12):
        attacker = await Attacker.begin(app)
        outcomes = await asyncio.gather(
            *(committed(app, attacker.key, f"{number}.{each}") for each in range(2)), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert [isinstance(failure, REFUSALS) for failure in failures] == [True]
        [winner] = [each for each, outcome in enumerate(outcomes) if outcome not in failures]
        contents[f"{number}.{winner}"] = PNG
    await check_rows(app, contents)


async def test_one_whose_second_attach_is_rolled_back_keeps_the_first(app):
    attacker = await Attacker.begin(app)
    await committed(app, attacker.key)
    attacker.send(OTHER)
    with pytest.raises(REFUSALS):
        async with added(app, attacker.key, "second") as (session, _):
            await session.rollback()
    await check_rows(app, {"victim": PNG})


@pytest.mark.parametrize("content", [PNG, OTHER], ids=["same", "other"])
async def test_two_who_attach_have_a_file_each_though_nothing_keeps_them_apart(app, content):
    """The worst that can happen where a `claim` lets both pass: the one is rolled back, the other stays."""
    app.uploads = Unclaimed(app.uploads)
    attacker = await Attacker.begin(app)
    async with app.sessions() as first, app.sessions() as second:
        first.add(Book(title="victim", file=await app.uploads.attach(attacker.key)))
        attacker.send(content)
        second.add(Book(title="second", file=await app.uploads.attach(attacker.key)))
        await first.commit()  # SQLite has one writer
        await second.flush()
        await second.rollback()
    await check_rows(app, {"victim": PNG})


class Unclaimed:
    """Uploads that anybody may attach any number of times."""

    def __init__(self, uploads):
        self._attach = uploads.attach

    async def attach(self, key):
        async def everybody(name):
            assert len(name) == 64

        return await self._attach(key, claim=everybody)


SWAPPED = {"refused": HTML, "other": OTHER, "large": PNG + bytes(20_000)}


@pytest.mark.parametrize("moment", ["stat", "list", "write", "copy"])
@pytest.mark.parametrize("content", SWAPPED.values(), ids=SWAPPED)
async def test_what_is_swapped_while_it_is_attached_is_judged_or_not_there(app, content, moment):
    """What the row names then is content that is let in, and stays what it was."""
    attacker = await Attacker.begin(app)

    def swap(event):
        if event.operation == moment:
            events.hooks.remove(swap)
            attacker.send(content)

    events.hooks.append(swap)
    contents = {}
    try:
        file_id = await committed(app, attacker.key)
    except StorageException:
        file_id = None  # and no row
    finally:
        if swap in events.hooks:
            events.hooks.remove(swap)
    if file_id is not None:
        contents["victim"] = await app.storage.read(file_id)
        assert contents["victim"] in {PNG, OTHER}
    attacker.send(HTML)
    with pytest.raises((*REFUSALS, InvalidFileTypeException)):
        await app.uploads.attach(attacker.key)
    await check_rows(app, contents)
