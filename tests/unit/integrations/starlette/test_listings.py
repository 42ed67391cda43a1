"""Rows that are shown with the URLs of their files."""

from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field, ValidationError

from async_storages import LocalStorage, MemoryStorage, StoredFile
from async_storages.integrations.starlette import response_with_urls


class Cover(BaseModel):
    file: StoredFile


class Album(BaseModel):
    name: str = Field(serialization_alias="albumName")
    cover: Cover | None
    tracks: list[StoredFile]


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path, base_url="https://files.example.com", secret_key="a secret of the tests")


def albums(storage):
    """As a database gives them: with more than is shown, of which no URL can be made."""
    cover, *tracks = (storage.file(name) for name in ("a.png", "c.mp3", "d.mp3"))
    hidden = MemoryStorage().file("b.png")
    yield SimpleNamespace(name="one", cover=SimpleNamespace(file=cover, draft=hidden), tracks=tracks)
    yield SimpleNamespace(name="two", cover=None, tracks=[])


async def test_files_that_are_shown_are_urls_wherever_they_are(storage):
    app = FastAPI()

    @app.get("/", response_model=list[Album])
    async def read() -> Response:
        return await response_with_urls(list[Album], list(albums(storage)), 203)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/")
    one, two = answer.json()
    urls = [one["cover"]["file"], *one["tracks"]]
    assert (answer.status_code, answer.headers["content-type"]) == (203, "application/json")
    assert [url.partition("?token=")[0] for url in urls] == [
        f"https://files.example.com/{name}" for name in ("a.png", "c.mp3", "d.mp3")
    ]
    assert two == {"albumName": "two", "cover": None, "tracks": []}
    schema = app.openapi()["components"]["schemas"]
    assert one.keys() == schema["Album"]["properties"].keys()


async def test_one_row_with_urls_that_do_not_end(storage):
    answer = await response_with_urls(Cover, {"file": storage.file("a b.png")}, presign=False)
    assert answer.body == b'{"file":"https://files.example.com/a%20b.png"}'


async def test_what_does_not_fit_is_an_error():
    with pytest.raises(ValidationError):
        await response_with_urls(Cover, SimpleNamespace(file=None))
