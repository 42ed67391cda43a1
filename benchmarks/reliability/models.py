"""The mapped classes of the scenarios, with the file column of whatever library."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeEngine

type FileColumn = Callable[[bool], TypeEngine[Any]]
"""The type of a column; the argument says whether several rows may name one file."""


def declare(type_: FileColumn, list_type: TypeEngine[Any]) -> SimpleNamespace:
    """All classes with a file have `text` as well, which says what the file is to hold."""

    class Base(DeclarativeBase):
        pass

    class Shelf(Base):
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        documents: Mapped[list[Any]] = relationship(lambda: Document, cascade="all, delete-orphan")
        loans: Mapped[list[Any]] = relationship(lambda: Loan, cascade="all, delete", passive_deletes=True)

    class Document(Base):
        __tablename__ = "documents"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None]
        title: Mapped[str | None] = mapped_column(unique=True)
        shelf_id: Mapped[int | None] = mapped_column(ForeignKey(Shelf.id))
        file: Mapped[Any] = mapped_column(type_(False), nullable=True)

    class Deferred(Base):
        __tablename__ = "deferred"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None]
        file: Mapped[Any] = mapped_column(type_(False), nullable=True, deferred=True)

    class Loan(Base):
        __tablename__ = "loans"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None]
        shelf_id: Mapped[int | None] = mapped_column(ForeignKey(Shelf.id, ondelete="CASCADE"))
        file: Mapped[Any] = mapped_column(type_(False), nullable=True)

    class Shared(Base):
        __tablename__ = "shared"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None]
        file: Mapped[Any] = mapped_column(type_(True), nullable=True)

    class AlsoShared(Base):
        __tablename__ = "also_shared"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None]
        file: Mapped[Any] = mapped_column(type_(True), nullable=True)

    class Album(Base):
        __tablename__ = "albums"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None]
        file: Mapped[Any] = mapped_column(list_type, nullable=True)

    classes = (Shelf, Document, Deferred, Loan, Shared, AlsoShared, Album)
    return SimpleNamespace(Base=Base, with_files=classes[1:], **{class_.__name__: class_ for class_ in classes})
