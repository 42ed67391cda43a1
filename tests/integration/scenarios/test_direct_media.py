"""Users upload large images and video directly: to the bucket, not through the API, which signs, checks and answers."""

from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Header
from pydantic import BaseModel

from async_storages import FileTypeConfig, FileValidator, StoredImage
from async_storages.integrations.fastapi import DirectUploads, direct_router, register_exception_handlers
from tests.support.corpus import image
from tests.support.direct import MIB, InParts, by_form, held_by
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

LARGEST = 16 * MIB
RULES = FileValidator(FileTypeConfig(type_whitelist=["image/*", "video/*"]), max_file_size=LARGEST)
PNG = image("PNG", (40, 30)) + bytes(6 * MIB)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(11 * MIB)
HTML = b"<!DOCTYPE html><script>alert(1)</script>"
ADA, EVE = {"X-User": "ada"}, {"X-User": "eve"}


class Posted(BaseModel):
    title: str
    key: str


class Media(BaseModel):
    title: str
    url: str
    size: tuple[int, int] | None


def application(storage, received):
    """The API, which notes how many bytes it gets."""
    uploads = DirectUploads(storage, "a secret", folder="media", validator=RULES)

    async def current_user(x_user: Annotated[str, Header()]) -> str:
        return x_user

    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(direct_router(uploads, owner=current_user))

    @app.middleware("http")
    async def count(request, call_next):
        received.append(int(request.headers.get("content-length", 0)))
        return await call_next(request)

    @app.post("/media")
    async def add(posted: Posted, x_user: Annotated[str, Header()]) -> Media:
        file = await uploads.attach(posted.key, owner=x_user)
        is_image = file.content_type.startswith("image/")
        size = await StoredImage(file.file_id, storage).get_dimensions() if is_image else None
        return Media(title=posted.title, url=await file.get_presigned_url(3600), size=size)

    return app


@pytest.fixture
def received():
    return []


@pytest.fixture
async def browser(storage, received):
    async with (
        served(application(storage, received)) as url,
        httpx.AsyncClient(base_url=url, headers=ADA, timeout=TIME_OUT) as client,
    ):
        yield client


async def keys_of(storage):
    return [file_id.partition("/")[2].partition("/")[0] for file_id in await held_by(storage)]


async def send(browser, name, content):
    """Upload as a form; the answer of the bucket, and what to hand back."""
    return await by_form(browser, content, name, len(content))


async def send_parts(browser, name, content, part_size=5 * MIB):
    """Upload in parts, as Uppy does."""
    upload = await InParts.begin(browser, name)
    for number, start in enumerate(range(0, len(content), part_size), 1):
        await upload.send(number, content[start : start + part_size])
    return await upload.complete(), upload.key


SENT = {"image": (send, "sea.png", PNG, [40, 30]), "video in parts": (send_parts, "sea.mp4", MP4, None)}


@pytest.mark.parametrize(("way", "name", "content", "size"), SENT.values(), ids=SENT)
async def test_it_goes_to_the_bucket_and_the_api_answers_with_its_url(
    browser, storage, received, way, name, content, size
):
    sent, key = await way(browser, name, content)
    assert sent.is_success
    answer = await browser.post("/media", json={"title": "Sea", "key": key})
    media = answer.json()
    assert (answer.status_code, media["title"], media["size"]) == (200, "Sea", size)
    assert sum(received) < 4096
    async with httpx.AsyncClient(timeout=TIME_OUT) as anybody:
        assert (await anybody.get(media["url"])).content == content
    assert await keys_of(storage) == ["media"]


REFUSED = {
    "no picture": ("sea.png", HTML, "invalid_file_type"),
    "an empty one": ("sea.png", b"", "invalid_file_type"),
    "a video that is none": ("sea.mp4", PNG, "invalid_file_type"),
}


@pytest.mark.parametrize(("name", "content", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_image_or_video_does_not_stay(browser, storage, name, content, code):
    _, key = await send(browser, name, content)
    answer = await browser.post("/media", json={"title": "Sea", "key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await keys_of(storage) == []


async def test_what_is_too_large_does_not_begin_or_does_not_stay(browser, storage):
    begun = await browser.post("/uploads", json={"filename": "sea.mp4", "size": LARGEST + 1})
    assert begun.status_code == 413
    upload, size = await InParts.begin(browser, "sea.mp4"), LARGEST + 2 * MIB
    parts = enumerate(range(0, size, 5 * MIB), 1)
    signed = [(await upload.sign(number, min(5 * MIB, size - start))).status_code for number, start in parts]
    assert signed == [200, 200, 200, 413]
    assert (await upload.ask("DELETE")).is_success
    assert await keys_of(storage) == []


async def test_nobody_attaches_what_another_has_uploaded(browser, storage):
    _, key = await send(browser, "sea.png", PNG)
    answer = await browser.post("/media", json={"title": "Mine", "key": key}, headers=EVE)
    assert answer.status_code == 403
    assert await keys_of(storage) == ["pending"]
