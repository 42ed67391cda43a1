"""Mapped classes whose files are moved from one storage to another."""

from uuid import uuid4

from sqlalchemy import Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileList, FileListType, FileType, ImageType, add_move_table
from tests.support.photos import RECIPES


class Base(DeclarativeBase):
    pass


class Paper(Base):
    __tablename__ = "papers"
    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str | None] = mapped_column(String(100))
    file: Mapped[StoredFile | None] = mapped_column(FileType("papers", filename="shown_name", size="size"))
    shown_name: Mapped[str | None] = mapped_column(String(100))
    size: Mapped[int | None]
    changed: Mapped[str | None] = mapped_column(String(100), onupdate=lambda: uuid4().hex)
    __table_args__ = (Index("ix_papers_file", "file", mysql_length=255),)


class Copy(Base):
    __tablename__ = "copies"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType("papers"))
    __table_args__ = (Index("ix_copies_file", "file", mysql_length=255),)


class Picture(Base):
    __tablename__ = "pictures"
    id: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[StoredImage | None] = mapped_column(ImageType("papers", width="width", variants=RECIPES))
    width: Mapped[int | None]
    __table_args__ = (Index("ix_pictures_image", "image", mysql_length=255),)


class Album(Base):
    __tablename__ = "albums"
    id: Mapped[int] = mapped_column(primary_key=True)
    files: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("papers"))
    __table_args__ = (Index("ix_albums_files", "files", postgresql_using="gin", mysql_length=255),)


add_move_table(Base.metadata)
