"""Reviewed documents: what is uploaded stays in quarantine until the real clamd has found it clean."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import (
    FileNotFoundException,
    LocalStorage,
    MemoryStorage,
    OperationNotSupportedException,
    PendingFile,
    StoredFile,
    registry,
)
from async_storages.integrations.sqlalchemy import FileType, enable_file_tracking
from async_storages.scanning.clamd import ClamdScanner
from async_storages.scanning.quarantine import QuarantineReview, review_quarantined_file
from async_storages.scanning.verdicts import Clean, Unscanned
from tests.support.clamd import LARGEST, VIRUS, VIRUS_NAME

STORAGE = "reviewed documents"


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "reviewed_documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType(STORAGE, folder="quarantine"))
    verdict: Mapped[str] = mapped_column(default="waiting")


@pytest.fixture(params=["disk", "s3"])
def place(request, tmp_path):
    return LocalStorage(tmp_path / "files") if request.param == "disk" else request.getfixturevalue("on_s3")


@pytest.fixture
async def storage(place):
    async with place as storage:
        with registry.override(STORAGE, storage):
            yield storage


@pytest.fixture
async def sessions(storage, tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False))
    await engine.dispose()


@pytest.fixture
def scanner(clamd):
    return ClamdScanner(clamd.path, max_size=LARGEST)


async def held_by(storage):
    """The folders of the files that are there."""
    return [info.file_id.rpartition("/")[0].rpartition("/")[2].rpartition(":")[2] async for info in storage.list()]


async def uploaded(sessions, content):
    async with sessions.begin() as session:
        document = Document(file=PendingFile(content, filename="report.txt", metadata={"by": "Ada"}))
        session.add(document)
    return document.id


async def reviewed(session: AsyncSession, document_id: int, scanner):
    """What the worker of an application does."""
    statement = select(Document).where(Document.id == document_id).with_for_update()
    document = (await session.scalars(statement)).one()
    came = await review_quarantined_file(document.file, scanner, folder="documents")
    document.verdict = str(came.verdict)
    if came.released:
        document.file = came.released
    return document


# ---- through an application


async def test_a_clean_document_leaves_quarantine(storage, sessions, scanner):
    document_id = await uploaded(sessions, b"harmless")
    assert await held_by(storage) == ["quarantine"]
    async with sessions.begin() as session:
        document = await reviewed(session, document_id, scanner)
    assert (document.verdict, await document.file.read()) == ("clean", b"harmless")
    assert document.file.filename == "report.txt"
    assert (await document.file.get_info()).metadata == {"by": "Ada"}
    assert await held_by(storage) == ["documents"]


HELD_BACK = {
    "infected": (VIRUS, f"infected: {VIRUS_NAME}"),
    "too large": (VIRUS + bytes(LARGEST), f"unscanned: the file is larger than the {LARGEST} bytes that are scanned"),
}


@pytest.mark.parametrize(("content", "verdict"), HELD_BACK.values(), ids=HELD_BACK)
async def test_every_other_document_stays(storage, sessions, scanner, content, verdict):
    document_id = await uploaded(sessions, content)
    async with sessions.begin() as session:
        document = await reviewed(session, document_id, scanner)
    assert document.verdict == verdict
    assert await document.file.read() == content
    assert await held_by(storage) == ["quarantine"]


async def test_nothing_leaves_while_the_scanner_is_away_and_may_later(storage, sessions, scanner):
    document_id = await uploaded(sessions, b"harmless")
    for tool, state, folder in ((ClamdScanner("/no/such"), "unscanned", "quarantine"), (scanner, "clean", "documents")):
        async with sessions.begin() as session:
            document = await reviewed(session, document_id, tool)
        assert document.verdict.partition(":")[0] == state
        assert await held_by(storage) == [folder]


async def test_a_review_that_is_rolled_back_changes_nothing(storage, sessions, scanner):
    document_id = await uploaded(sessions, b"harmless")
    async with sessions() as session:
        await reviewed(session, document_id, scanner)
        await session.flush()
        await session.rollback()
    assert await held_by(storage) == ["quarantine"]
    async with sessions() as session:
        document = await session.get(Document, document_id)
        assert (document.verdict, await document.file.read()) == ("waiting", b"harmless")


# ---- a review by itself


class Says:
    """A scanner that does something, and then says this."""

    def __init__(self, verdict, meanwhile=None):
        self.verdict, self.meanwhile = verdict, meanwhile

    async def scan(self, file):
        if self.meanwhile:
            await self.meanwhile(file)
        if isinstance(self.verdict, BaseException):
            raise self.verdict
        return self.verdict


async def test_what_is_replaced_while_it_is_scanned_is_not_released(storage):
    """By somebody who holds a presigned URL, for instance."""
    file = await storage.save(b"harmless", "a.txt", folder="quarantine")
    scanner = Says(Clean(), lambda file: file.upload(VIRUS))
    assert await review_quarantined_file(file, scanner, folder="documents") == QuarantineReview(
        Unscanned("the file was replaced while it was scanned")
    )
    assert await held_by(storage) == ["quarantine"]


async def test_what_is_removed_while_it_is_scanned_is_not_released(storage):
    file = await storage.save(b"harmless", "a.txt", folder="quarantine")
    with pytest.raises(FileNotFoundException):
        await review_quarantined_file(file, Says(Clean(), StoredFile.delete), folder="documents")
    assert await held_by(storage) == []


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError()], ids=["bug", "cancelled"])
async def test_a_scanner_that_raises_releases_nothing(storage, error):
    file = await storage.save(b"harmless", "a.txt", folder="quarantine")
    with pytest.raises(type(error)):
        await review_quarantined_file(file, Says(error), folder="documents")
    assert await held_by(storage) == ["quarantine"]


class Failing(MemoryStorage):
    """Is not there any more once it has copied."""

    has_copied = False

    async def copy(self, *names, **options):
        copied = await super().copy(*names, **options)
        self.has_copied = True
        return copied

    async def stat(self, name):
        if self.has_copied:
            raise ConnectionError("gone")
        return await super().stat(name)


async def test_a_copy_that_may_not_be_what_was_scanned_is_removed():
    storage = Failing()
    file = await storage.save(b"harmless", "a.txt", folder="quarantine")
    with pytest.raises(ConnectionError):
        await review_quarantined_file(file, Says(Clean()), folder="documents")
    assert await held_by(storage) == ["quarantine"]


async def test_a_storage_that_cannot_copy_says_so():
    class NoCopy(MemoryStorage):
        copy = None

    with pytest.raises(OperationNotSupportedException, match="cannot copy"):
        await review_quarantined_file(await NoCopy().save(b"harmless", "a.txt"), Says(Clean()))
