"""Direct uploads as browsers do them, to an application of their own."""

import time
from contextlib import asynccontextmanager, contextmanager

import httpx
from pydantic import BaseModel

from async_storages import FileTypeConfig, FileValidator, LocalStorage
from async_storages.direct_uploads import DirectUploads
from tests.support.corpus import image
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

SECRET = "a secret of the uploads"
MIB = 1 << 20
PNG = image("PNG")
RULES = FileValidator(FileTypeConfig(blacklist=["exe"]), max_file_size=12 * MIB)


class Attached(BaseModel):
    key: str


@asynccontextmanager
async def client_of(storage, folder_of=(), **options):
    """A client of an application whose uploads go to the storage, or to a folder of it, and the uploads themselves."""
    from fastapi import FastAPI, Header  # other frameworks' tests do without

    from async_storages.integrations.fastapi import direct_router, register_exception_handlers, signed_uploads

    async def user(x_user: str | None = Header(default=None)) -> str | None:
        return x_user

    place = storage.within(*folder_of) if folder_of else storage
    uploads = DirectUploads(place, SECRET, **{"folder": "photos", "validator": RULES, "clock": CLOCK, **options})
    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(direct_router(uploads, owner=user))
    if isinstance(storage, LocalStorage):
        app.include_router(signed_uploads(storage), prefix="/stored")

    @app.post("/attach")
    async def attach(body: Attached, x_user: str | None = Header(default=None)) -> dict[str, str]:
        return {"file_id": (await uploads.attach(body.key, owner=x_user)).file_id}

    async with storage, served(app) as url, httpx.AsyncClient(base_url=url, timeout=TIME_OUT) as client:
        yield client, uploads


async def held_by(storage):
    """The ids of its files, but for the claims that say which uploads were attached."""
    return [file_id for file_id in await all_of(storage) if "/attached-" not in file_id]


async def all_of(storage):
    """The ids of its files."""
    return sorted([info.file_id async for info in storage.list()])


async def by_form(client, content, name, size=None):
    """Upload by a form; the answer of the storage, and the key to hand back."""
    begun = (await client.post("/uploads", json={"filename": name, "size": size})).json()
    return await send_form(client, begun, content), begun["key"]


async def send_form(client, begun, content):
    return await client.post(begun["url"], data=begun["fields"], files={"file": ("blob", content)})


# ---- in parts, as Uppy asks for them


class InParts:
    """One upload in parts."""

    def __init__(self, client, begun):
        self.client, self.key, self.upload_id = client, begun["key"], begun["uploadId"]
        self.etags = {}

    @classmethod
    async def begin(cls, client, name="film.mp4"):
        body = {"filename": name, "type": "text/html", "metadata": {"name": name}}
        return cls(client, (await client.post("/uploads/s3/multipart", json=body)).json())

    async def ask(self, method, path="", **options):
        params = {"key": self.key}
        return await self.client.request(
            method, f"/uploads/s3/multipart/{self.upload_id}{path}", params=params, **options
        )

    async def sign(self, number, size=None):
        params = {"key": self.key} if size is None else {"key": self.key, "size": size}
        return await self.client.get(f"/uploads/s3/multipart/{self.upload_id}/{number}", params=params)

    async def url_of(self, number, size=None):
        return (await self.sign(number, size)).json()["url"]

    async def send(self, number, content):
        sent = await self.client.put(await self.url_of(number, len(content)), content=content)
        self.etags[number] = sent.headers["etag"]

    async def complete(self, etags=None):
        parts = [part(number, etag) for number, etag in (etags or self.etags).items()]
        return await self.ask("POST", "/complete", json={"parts": parts})


FILM = b"\0\0\0\x18ftypmp42" + bytes(5 * MIB - 12)


def part(number, etag):
    """A part as Uppy says it."""
    return {"PartNumber": number, "ETag": etag}


class UploadsClock:
    """The time by which the uploads of `client_of` expire; the tests put it forward."""

    ahead = 0.0

    def __call__(self):
        return time.time() + self.ahead


CLOCK = UploadsClock()


@contextmanager
def a_day_later():
    """The time of every upload that was begun before is over, by `CLOCK`."""
    CLOCK.ahead = 86_401
    try:
        yield
    finally:
        CLOCK.ahead = 0.0
