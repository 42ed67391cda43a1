"""Rows with files that have no response model."""

import httpx
import pytest
from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import async_storages.integrations.fastapi  # noqa: F401 - it tells FastAPI of files
from async_storages import MemoryStorage, StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileList, FileListType, FileType, ImageType


class Base(DeclarativeBase):
    pass


class Page(Base):
    __tablename__ = "pages"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType(MemoryStorage()))
    photo: Mapped[StoredImage | None] = mapped_column(ImageType(MemoryStorage()))
    files: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType(MemoryStorage(), facts=["size"]))


ENCODED = {"id": 1, "file": "mem:a.txt", "photo": "mem:b.png", "files": ["mem:c.txt"]}


@pytest.fixture
def page():
    return Page(id=1, file="a.txt", photo="b.png", files=["c.txt"])


def test_files_are_encoded_as_their_ids(page):
    assert jsonable_encoder(page) == ENCODED
    assert jsonable_encoder({"file": page.file, "of": [page.photo]}) == {"file": "mem:a.txt", "of": ["mem:b.png"]}


async def test_a_path_operation_returns_a_row(page):
    app = FastAPI()

    @app.get("/")
    async def show():
        return page

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/")).json() == ENCODED
