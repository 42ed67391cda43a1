# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What mypy and pyright infer of file columns. A line that is wrong says so, and is an error to both."""

from collections.abc import Sequence
from typing import assert_type

from sqlalchemy import Column, MetaData, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column
from starlette.datastructures import UploadFile

from async_storages import (
    FileValidator,
    MemoryStorage,
    PendingFile,
    StorageManager,
    StoredFile,
    StoredImage,
    Variant,
    Variants,
)
from async_storages.integrations.sqlalchemy import (
    FileList,
    FileListMapped,
    FileListType,
    FileMapped,
    FileType,
    ImageListType,
    ImageType,
    enable_file_tracking,
    normalise_file_ids,
)

storage = MemoryStorage()
manager = StorageManager.from_storages(storage)


def folder_of(document: "Document", _filename: str) -> str:
    return f"documents/{document.id}/"


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile] = mapped_column(FileType(storage, upload_to=folder_of, validators=[FileValidator()]))
    copy: Mapped[StoredFile | None] = mapped_column(FileType("archive", length=64, on_delete="keep", shared=True))
    photo: Mapped[StoredImage | None] = mapped_column(ImageType(manager, width="photo_width", folder="photos"))
    photo_width: Mapped[int | None]
    pages: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType(manager, length=256))
    inferred = mapped_column(ImageType)


files = Table("files", MetaData(), Column("file", FileType(None, length=None)))
FileType(storage=7)  # type: ignore[arg-type]
FileType(on_delete="forget")  # type: ignore[arg-type]
FileType(width="photo_width")  # type: ignore[call-arg]  # a file has no width
FileListType(facts=["size", "filename"])
ImageListType(facts=("width", "height"), variants=Variants(thumb=Variant(20)))
FileListType(facts=["width", "height"])  # type: ignore[list-item]
ImageListType(facts=["etag"])  # type: ignore[list-item]


def attributes(document: Document) -> None:
    assert_type(document.file, StoredFile)
    assert_type(document.copy, StoredFile | None)
    assert_type(document.photo, StoredImage | None)
    assert_type(document.file.file_id, str)
    assert_type(document.pages, FileList[StoredFile] | None)
    if document.photo:
        assert_type(document.photo.known_dimensions, tuple[int, int] | None)
    len(document.copy.file_id)  # type: ignore[union-attr]  # it may be None
    len(document.file.known_dimensions)  # type: ignore[attr-defined]  # it need not be an image


def assignments(document: Document, stored: StoredFile, image: StoredImage) -> None:
    document.file = stored
    document.copy = image
    document.copy = None
    document.photo = stored  # type: ignore[assignment]  # it need not be an image
    document.file = None  # type: ignore[assignment]  # the column is NOT NULL
    document.file = "a.txt"  # type: ignore[assignment]  # it works; `Mapped` takes what it gives
    Document(file="a.txt", photo=PendingFile(b"...", filename="a.png"))


class Report(Base):
    __tablename__ = "reports"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: FileMapped[StoredFile] = mapped_column(FileType(storage))
    photo: FileMapped[StoredImage | None] = mapped_column(ImageType(manager))
    pages: FileListMapped[FileList[StoredFile]] = mapped_column(FileListType(manager, facts=("size", "sha256")))


def any_assignments(report: Report, stored: StoredFile, upload: UploadFile) -> None:
    assert_type(report.file, StoredFile)
    assert_type(report.photo, StoredImage | None)
    assert_type(report.pages, FileList[StoredFile])
    report.file = stored
    report.file = "a.txt"
    report.file = PendingFile(b"...", filename="a.txt")
    report.file = upload
    report.photo = None
    report.pages = [stored, "a.txt", PendingFile(b"..."), upload]
    report.photo = stored  # what `save` gives becomes an image
    report.file = None  # type: ignore[assignment]  # the column is NOT NULL
    report.file = 7  # type: ignore[assignment]
    report.file = b"..."  # type: ignore[assignment]  # it has no name
    report.pages = [7]  # type: ignore[list-item]
    assert_type(Report.file, InstrumentedAttribute[StoredFile])


async def queries(session: AsyncSession) -> None:
    documents = (await session.scalars(select(Document).where(Document.file == "a.txt"))).all()
    assert_type(documents, Sequence[Document])
    assert_type((await session.scalars(select(Document.copy))).all(), Sequence[StoredFile | None])
    for number, image in (await session.execute(select(Document.id, Document.photo))).tuples():
        assert_type((number, image), tuple[int, StoredImage | None])
    await session.execute(insert(Document).values(file="a.txt"))


async def tracking(sessions: async_sessionmaker[AsyncSession], engine: AsyncEngine) -> None:
    enable_file_tracking(sessions)
    async with engine.begin() as connection:
        assert_type(await connection.run_sync(normalise_file_ids, files.c.file, storage), int)
