"""Mapped classes with file columns: relationships, inheritance, dataclasses, properties, pickles, pydantic."""

import copy
import json
import pickle

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    column_property,
    defer,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
    synonym,
)

from async_storages import StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import Document, Folder

A = StoredFile("mem:a.txt")


@pytest.mark.parametrize("load", [selectinload, joinedload, subqueryload])
async def test_related_objects_have_files(session, storage, load):
    session.add(Folder(id=1, documents=[Document(file="a.txt", photo="a.png"), Document()]))
    await session.commit()
    session.expunge_all()
    folder = (await session.scalars(select(Folder).options(load(Folder.documents)))).unique().one()
    assert [document.file for document in folder.documents] == [A, None]
    assert folder.documents[0].file.storage is storage
    assert type(folder.documents[0].photo) is StoredImage


async def test_a_deferred_column_loads_when_asked(session):
    session.add(Document(id=1, file="a.txt"))
    await session.commit()
    session.expunge_all()
    document = await session.scalar(select(Document).options(defer(Document.file)))
    assert "file" in inspect(document).unloaded
    await session.refresh(document, ["file"])
    assert document.file == A


async def test_the_annotation_map_serves_mapped_annotations():
    columns = Document.__table__.c
    assert (type(columns.file.type), columns.file.nullable) == (FileType, True)
    assert (type(columns.photo.type), columns.copy.type.length) == (ImageType, 64)

    class Base(DeclarativeBase):
        type_annotation_map = {StoredImage: ImageType("documents", 77)}  # noqa: RUF012

    class Photo(Base):
        __tablename__ = "photos"
        id: Mapped[int] = mapped_column(primary_key=True)
        image: Mapped[StoredImage]

    assert (Photo.__table__.c.image.type.length, Photo.__table__.c.image.nullable) == (77, False)
    assert isinstance(Photo(image="a.png").image, StoredImage)


async def test_mapped_dataclasses(engine, create):
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Page(Base):
        __tablename__ = "pages"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        file: Mapped[StoredFile] = mapped_column(FileType("documents"))
        cover: Mapped[StoredFile] = mapped_column(FileType("documents"), default="cover.png")
        extra: Mapped[StoredFile | None] = mapped_column(FileType("documents"), default=None)
        later: Mapped[StoredFile] = mapped_column(FileType("documents"), insert_default="later.txt", init=False)

    await create(Base)
    async with AsyncSession(engine) as session:
        session.add(page := Page("a.txt"))
        await session.flush()
        expected = [A, StoredFile("mem:cover.png"), None, StoredFile("mem:later.txt")]
        assert [page.file, page.cover, page.extra, page.later] == expected
        assert (await session.execute(select(Page.file, Page.cover, Page.extra, Page.later))).one() == tuple(expected)


async def test_joined_and_single_table_inheritance(engine, create, storage):
    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "items"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        file: Mapped[StoredFile] = mapped_column(FileType("documents"))
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}  # noqa: RUF012

    class Song(Item):
        lyrics: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
        __mapper_args__ = {"polymorphic_identity": "song"}  # noqa: RUF012

    class Film(Item):
        __tablename__ = "films"
        id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
        poster: Mapped[StoredImage] = mapped_column(ImageType("documents"))
        __mapper_args__ = {"polymorphic_identity": "film", "polymorphic_load": "selectin"}  # noqa: RUF012

    await create(Base)
    async with AsyncSession(engine) as session:
        session.add_all([Song(file="a.txt", lyrics="a.txt"), Film(file="a.txt", poster="a.png")])
        await session.commit()
        session.expunge_all()
        song, film = await session.scalars(select(Item).order_by(Item.kind.desc()))
        await session.refresh(song)
        assert [song.file, song.lyrics, film.file, film.poster] == [A, A, A, StoredImage("mem:a.png")]
        assert song.lyrics.storage is film.poster.storage is storage
        song.lyrics = "b.txt"
        assert song.lyrics == StoredFile("mem:b.txt")


async def test_properties_over_a_file_column(engine, create, storage):
    class Base(DeclarativeBase):
        pass

    class Report(Base):
        __tablename__ = "reports"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[StoredFile] = mapped_column(FileType("documents"))
        lower: Mapped[str] = column_property(func.lower(file))
        either: Mapped[StoredFile] = column_property(func.coalesce(file, "none.txt"))
        attachment = synonym("file")

        @hybrid_property
        def is_text(self):
            return self.file.name.endswith(".TXT")

        @is_text.inplace.expression
        @classmethod
        def _is_text(cls):
            return cls.file.endswith(".TXT")

    await create(Base)
    async with AsyncSession(engine) as session:
        session.add(Report(attachment="A.TXT"))
        await session.commit()
        report = await session.scalar(select(Report).where(Report.is_text, Report.attachment == "A.TXT"))
        assert (report.lower, report.either, report.is_text) == ("mem:a.txt", StoredFile("mem:A.TXT"), True)
        assert report.either.storage is storage


async def test_a_foreign_key_to_a_file(engine, create):
    class Base(DeclarativeBase):
        pass

    class Blob(Base):
        __tablename__ = "blobs"
        file: Mapped[StoredFile] = mapped_column(FileType("documents"), primary_key=True)
        uses: Mapped[list["Use"]] = relationship(back_populates="blob")

    class Use(Base):
        __tablename__ = "uses"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[StoredFile] = mapped_column(ForeignKey("blobs.file"))
        blob: Mapped[Blob] = relationship(back_populates="uses")

    await create(Base)
    async with AsyncSession(engine) as session:
        session.add_all([Blob(file="a.txt"), Use(id=1, file="a.txt")])
        await session.commit()
        session.expunge_all()
        use = await session.scalar(select(Use).options(joinedload(Use.blob).selectinload(Blob.uses)))
        assert use.file == use.blob.file == A
        assert use.blob.uses == [use]
        assert await session.get(Blob, "a.txt") is use.blob


COPIES = {"pickle": lambda value: pickle.loads(pickle.dumps(value)), "deepcopy": copy.deepcopy, "copy": copy.copy}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
class TestCopies:
    async def test_a_file(self, session, storage, copied):
        session.add(Document(file="a.txt", photo="a.png"))
        await session.commit()
        document = await session.scalar(select(Document))
        for file in (document.file, document.photo):
            other = copied(file)
            assert (type(other), other, other.storage) == (type(file), file, storage)

    async def test_an_object_and_its_way_back(self, session, storage, copied):
        session.add(Document(id=1, file="a.txt", folder=Folder()))
        await session.commit()
        document = await session.get(Document, 1, populate_existing=True)
        session.expunge_all()
        other = copied(document)
        assert (other.file, other.file.storage) == (A, storage)
        merged = await session.merge(other)
        assert merged.file == A
        assert not session.is_modified(merged)

    async def test_rows(self, session, copied):
        session.add(Document(id=1, file="a.txt"))
        await session.flush()
        rows = (await session.execute(select(Document.id, Document.file))).all()
        assert copied(rows) == [(1, A)]


class DocumentOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    file: StoredFile
    copy_: StoredFile | None = None
    photo: StoredImage | None


class TestPydantic:
    @pytest.fixture
    async def document(self, session):
        session.add(Document(id=1, file="a.txt", photo="a.png"))
        await session.commit()
        session.expunge_all()
        return await session.get(Document, 1)

    def test_from_attributes(self, document, storage):
        out = DocumentOut.model_validate(document)
        assert (out.file, out.file.storage, type(out.photo)) == (A, storage, StoredImage)
        assert out.model_dump() == {"id": 1, "file": "mem:a.txt", "copy_": None, "photo": "mem:a.png"}
        assert out.model_dump_json() == '{"id":1,"file":"mem:a.txt","copy_":null,"photo":"mem:a.png"}'
        urls = {"file_urls": {"mem:a.txt": "https://example.com/a.txt"}}
        assert out.model_dump(context=urls)["file"] == "https://example.com/a.txt"

    def test_what_was_validated_can_be_assigned(self, document, storage):
        given = DocumentOut.model_validate({"id": 1, "file": "mem:b.txt", "photo": None})
        document.file, document.photo = given.file, given.photo
        assert (document.file.storage, document.photo) == (storage, None)
        document.file = given.model_dump()["file"]
        assert document.file == StoredFile("mem:b.txt")

    async def test_a_fastapi_response(self, document):
        app = FastAPI()

        @app.get("/")
        async def read() -> DocumentOut:
            return document

        assert await body(app) == {"id": 1, "file": "mem:a.txt", "copy_": None, "photo": "mem:a.png"}
        assert app.openapi()["components"]["schemas"]["DocumentOut"]["properties"]["file"]["type"] == "string"


async def body(app):
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in sent))
