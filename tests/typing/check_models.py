# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What mypy and pyright infer of files in the models of pydantic and SQLModel."""

from typing import Annotated, assert_type

from pydantic import BaseModel, TypeAdapter
from sqlmodel import Field, SQLModel

from async_storages import FileUrls, MemoryStorage, ServedBy, StorageManager, StoredFile, StoredImage, file_urls
from async_storages.integrations.sqlalchemy import FileType, ImageType

manager = StorageManager.from_storages(MemoryStorage())


class Picture(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    photo: StoredImage | None = Field(default=None, sa_type=ImageType("photos", width="width"))
    width: int | None = None
    licence: StoredFile = Field(sa_type=FileType)


class PictureIn(BaseModel):
    photo: Annotated[StoredImage, ServedBy(manager)]
    more: list[Annotated[StoredFile, ServedBy("photos")]] = []


ServedBy(7)  # type: ignore[arg-type]


def fields(picture: Picture, body: PictureIn) -> None:
    assert_type(picture.photo, StoredImage | None)
    assert_type(picture.licence, StoredFile)
    assert_type(body.photo, StoredImage)
    assert_type(body.more, list[StoredFile])
    picture.photo = body.more[0]  # type: ignore[assignment]  # it need not be an image


async def listing(rows: list[Picture]) -> bytes:
    urls = await file_urls(rows, expires_in=60, presign=False)
    assert_type(urls, FileUrls)
    adapter = TypeAdapter(list[PictureIn])
    return adapter.dump_json(adapter.validate_python(rows), context=urls)
