"""Mapped classes with file columns, whose storages are found under the names "documents" and "archive"."""

from typing import ClassVar

from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import DeclarativeBase, Mapped, declarative_base, mapped_column, relationship

from async_storages import StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileType, ImageType


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {StoredFile: FileType("documents"), StoredImage: ImageType("documents")}


class Folder(Base):
    __tablename__ = "folders"
    id: Mapped[int] = mapped_column(primary_key=True)
    documents: Mapped[list["Document"]] = relationship(back_populates="folder", order_by="Document.id")


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None]
    file: Mapped[StoredFile | None]
    copy: Mapped[StoredFile | None] = mapped_column(FileType("archive", length=64))
    photo: Mapped[StoredImage | None] = mapped_column(ImageType("documents", width="photo_width"))
    photo_width: Mapped[int | None]
    folder_id: Mapped[int | None] = mapped_column(ForeignKey(Folder.id))
    folder: Mapped[Folder | None] = relationship(back_populates="documents")


class FixedType(FileType):
    """As the documents this project began with tell Alembic's users to write it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, storage="documents", **kwargs)


class TenantType(FileType):
    """What its `__init__` takes is nothing that SQLAlchemy could make a cache key of."""

    def __init__(self, storages, tenant):
        super().__init__(storages[tenant])


def row_class(**columns):
    """A class mapped to a table of its own, `rows`, with the primary key `id` and these columns."""
    namespace = {"__tablename__": "rows", "id": Column(Integer, primary_key=True), **columns}
    return type("Row", (declarative_base(),), namespace)
