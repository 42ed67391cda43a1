"""SQLModel: one class that is a table, or a schema of what comes in or goes out."""

import json
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, inspect
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import Field, Relationship, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from async_storages import (
    FileAttach,
    InvalidArgumentException,
    MemoryStorage,
    PendingFile,
    ServedBy,
    StoredFile,
    StoredImage,
    file_urls,
    registry,
)
from async_storages.images.probe import ImageSize
from async_storages.integrations.sqlalchemy import FileType, ImageListType, ImageType, enable_file_tracking
from tests.support.images import SIZE, encode
from tests.support.managers import upload_file
from tests.support.tracked import files

PNG = encode("PNG")


class Album(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    pictures: list["Picture"] = Relationship(back_populates="album")


class PictureBase(SQLModel):
    title: str = ""
    photo: StoredImage | None = Field(default=None, sa_type=ImageType("photos", width="width", height="height"))


class Picture(PictureBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    width: int | None = None
    height: int | None = None
    licence: StoredFile = Field(default="mem:mit.txt", sa_type=FileType("photos", length=40), index=True)
    album_id: int | None = Field(default=None, foreign_key="album.id")
    album: Album | None = Relationship(back_populates="pictures")


class PictureCreate(PictureBase):
    photo: Annotated[StoredImage | None, ServedBy("photos")] = None


class PictureRead(PictureBase):
    id: int
    licence: StoredFile


class PictureUpdate(SQLModel):
    title: str | None = None
    photo: StoredImage | None = None


class Gallery(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    photos: list[StoredImage] = Field(
        default_factory=list, sa_type=ImageListType("photos", facts=("size", "width", "height"))
    )


class Scan(PictureBase, table=True):
    """Another table of the same fields, whose files are the storage's of the first."""

    id: int | None = Field(default=None, primary_key=True)
    width: int | None = None
    height: int | None = None


@pytest.fixture(autouse=True)
def storage():
    with registry.override("photos", MemoryStorage()) as photos:
        yield photos


@pytest.fixture
async def sessions(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    await engine.dispose()


def known(key="a.png"):
    image = StoredImage(f"mem:{key}")
    image.remember(image_size=ImageSize(3, 4))
    return image


def test_the_columns_are_those_that_were_asked_for():
    columns = Picture.__table__.c
    assert (type(columns.photo.type), columns.photo.nullable, columns.photo.type.width) == (ImageType, True, "width")
    assert (type(columns.licence.type), columns.licence.nullable, columns.licence.type.length) == (FileType, False, 40)


@pytest.mark.parametrize(
    "value",
    ["a.png", "mem:a.png", StoredFile("mem:a.png"), FileAttach(file_id="mem:a.png", file_name="a.png")],
    ids=["a key", "an id", "a file", "an attachment"],
)
def test_what_is_assigned_becomes_a_file_at_once(value, storage):
    for model in (Picture, Scan):
        made, assigned, updated = model(photo=value), model(), model()
        assigned.photo = value
        updated.sqlmodel_update({"photo": value})
        for picture in (made, assigned, updated):
            assert (type(picture.photo), picture.photo.file_id) == (StoredImage, "mem:a.png")
            assert picture.photo.storage is storage
            assert inspect(picture).attrs.photo.history.added == [picture.photo]
            assert "photo" in picture.model_fields_set


def test_a_file_that_is_not_served_is_refused_before_anything_changes():
    picture = Picture(photo="a.png")
    with pytest.raises(InvalidArgumentException):
        picture.photo = 7
    with pytest.raises(InvalidArgumentException, match="40"):
        picture.licence = "x" * 41
    assert (str(picture.photo), str(picture.licence)) == ("mem:a.png", "mem:mit.txt")


def test_a_table_is_made_of_a_schema():
    picture = Picture.model_validate(PictureCreate(title="cat", photo="mem:a.png"), update={"licence": "mem:cc.txt"})
    assert (picture.title, str(picture.photo), str(picture.licence)) == ("cat", "mem:a.png", "mem:cc.txt")
    assert PictureRead.model_validate(picture, update={"id": 1}).model_dump() == {
        "title": "cat",
        "photo": "mem:a.png",
        "id": 1,
        "licence": "mem:cc.txt",
    }


@pytest.mark.parametrize("bad", ["s3:other-bucket/x", "nonsense:x", ""])
def test_a_schema_refuses_ids(bad):
    with pytest.raises(ValidationError, match="photo"):
        PictureCreate(photo=bad)


def test_the_sides_of_an_image_are_told_before_and_after_it_is_stored():
    picture = Picture(photo=known())
    assert (picture.width, picture.height) == (3, 4)
    picture.photo = StoredImage("mem:b.png")
    assert (picture.width, picture.height) == (None, None)
    assert Picture(photo=known(), width=30).width == 30
    made = Picture.model_validate(PictureCreate(title="cat"), update={"photo": known()})
    assert (made.width, made.height) == (3, 4)


async def test_the_sides_of_a_row_can_be_forgotten(sessions):
    async with sessions() as session:
        picture = Picture(photo=known())
        session.add(picture)
        await session.commit()
        picture.width = None
        await session.commit()
        await session.refresh(picture)
        assert (picture.width, picture.height) == (None, 4)


async def test_rows_come_back_as_they_were(sessions, storage):
    async with sessions() as session:
        session.add(Album(id=1, pictures=[Picture(photo="a.png"), Picture(photo=None, licence="b.txt")]))
        await session.commit()
    async with sessions() as session:
        first, second = (await session.exec(select(Picture).order_by(col(Picture.id)))).all()
        assert (type(first.photo), first.photo.storage, str(first.licence)) == (StoredImage, storage, "mem:mit.txt")
        assert (second.photo, type(second.licence)) == (None, StoredFile)
        dumped = json.loads(first.model_dump_json(include={"photo", "licence"}))
        assert dumped == {"photo": "mem:a.png", "licence": "mem:mit.txt"}
        found = await session.exec(select(Picture.licence).where(Picture.photo == "a.png"))
        assert found.one() == StoredFile("mem:mit.txt")
        first.photo = func.lower("mem:B.png")
        await session.commit()
        await session.refresh(first)
        assert first.photo == StoredFile("mem:b.png")


async def test_uploads_follow_the_transaction(sessions, storage):
    enable_file_tracking(sessions)
    async with sessions() as session:
        picture = Picture(photo=PendingFile(PNG, "cat.png"), licence=upload_file(b"MIT", "mit.txt"))
        assert isinstance(picture.photo, PendingFile)
        session.add(picture)
        await session.commit()
        assert await picture.photo.read() == PNG
        assert (picture.width, picture.height, await picture.licence.read()) == (*SIZE, b"MIT")
    async with sessions() as session:
        picture = (await session.exec(select(Picture))).one()
        picture.photo = PendingFile(b"other", "dog.png")
        await session.flush()
        await session.rollback()
        assert await files(storage) == {"cat.png", "mit.txt"}
        await session.refresh(picture)
        picture.sqlmodel_update({"photo": PendingFile(b"other", "dog.png")})
        await session.commit()
        assert await files(storage) == {"dog.png", "mit.txt"}
        await session.delete(picture)
        await session.commit()
        assert await files(storage) == set()


async def test_a_list_of_files_knows_when_it_changes(sessions, storage):
    enable_file_tracking(sessions)
    async with sessions() as session:
        gallery = Gallery()
        gallery.photos.append(PendingFile(PNG, "cat.png"))
        session.add(gallery)
        await session.commit()
        gallery.photos = [*gallery.photos, PendingFile(PNG, "dog.png")]
        del gallery.photos[0]
        await session.commit()
        assert await files(storage) == {"dog.png"}
        await session.refresh(gallery)
        assert [type(photo) for photo in gallery.photos] == [StoredImage]
        assert gallery.model_dump()["photos"] == list(await file_urls(gallery, presign=False))


async def test_an_application(sessions):
    app = FastAPI()

    @app.post("/pictures", response_model=PictureRead)
    async def create(body: PictureCreate):
        async with sessions() as session:
            picture = Picture.model_validate(body)
            session.add(picture)
            await session.commit()
            return picture

    @app.patch("/pictures/{number}", response_model=PictureRead)
    async def update(number: int, body: PictureUpdate):
        async with sessions() as session:
            picture = await session.get_one(Picture, number)
            picture.sqlmodel_update(body.model_dump(exclude_unset=True))
            await session.commit()
            return picture

    @app.get("/pictures", response_model=list[PictureRead])
    async def listing():
        async with sessions() as session:
            return (await session.exec(select(Picture).order_by(col(Picture.id)))).all()

    @app.get("/urls", response_model=list[PictureRead])
    async def urls():
        async with sessions() as session:
            rows = (await session.exec(select(Picture))).all()
        context = await file_urls(rows, presign=False) | {"mem:c.png": "https://cdn.example.com/c.png"}
        adapter = TypeAdapter(list[PictureRead])
        return Response(
            adapter.dump_json(adapter.validate_python(rows), context=context), media_type="application/json"
        )

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        first = {"title": "cat", "photo": "mem:a.png", "id": 1, "licence": "mem:mit.txt"}
        assert (await client.post("/pictures", json={"title": "cat", "photo": "mem:a.png"})).json() == first
        assert (await client.post("/pictures", json={"photo": "s3:other-bucket/x"})).status_code == 422
        assert (await client.get("/pictures")).json() == [first]
        assert (await client.patch("/pictures/1", json={"photo": "mem:c.png"})).json() == {
            **first,
            "photo": "mem:c.png",
        }
        assert (await client.get("/urls")).json() == [{**first, "photo": "https://cdn.example.com/c.png"}]
        properties = app.openapi()["components"]["schemas"]["PictureRead"]["properties"]
    assert properties["licence"]["type"] == "string"
