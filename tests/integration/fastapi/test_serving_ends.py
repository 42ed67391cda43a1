"""How answers end early: the client goes, or the storage fails. Nothing stays open, no part is taken for the whole."""

import asyncio
import gc
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI

from async_storages import ChecksumMismatchException, MemoryStorage, StorageUnavailableException, events
from async_storages.integrations.fastapi import (
    ClosingStreamingResponse,
    StoredFileResponse,
    register_exception_handlers,
)
from tests.support.patience import HANGS
from tests.support.s3 import FAST, s3_storage
from tests.support.uvicorn_server import asking, served

# Starlette's middleware left a stream of its own open where the client goes: seen with 0.41.3, not with 1.10
pytestmark = pytest.mark.filterwarnings("ignore:.*MemoryObjectReceiveStream:pytest.PytestUnraisableExceptionWarning")

CHUNK = bytes(65_536)
SIZE = 10 * len(CHUNK)


class Watched(MemoryStorage):
    """A file whose bytes come as a test says; keeps every stream, so that no garbage collector closes one."""

    def __init__(self, *steps, size=SIZE):
        super().__init__()
        self.steps, self.size = steps, size
        self.streams = []
        self.waits, self.closed = asyncio.Event(), asyncio.Event()

    async def stat(self, name):
        return (await super().stat(name)).model_copy(update={"file_size": self.size})

    def stream(self, name, offset=0, length=None, *, chunk_size=65_536):
        chunks = self.chunks()
        self.streams.append(chunks)
        return chunks

    async def chunks(self):
        try:
            for step in self.steps:
                if step is None:
                    self.waits.set()
                    await asyncio.Event().wait()
                if isinstance(step, Exception):
                    raise step
                yield step
                await asyncio.sleep(0)
        finally:
            self.closed.set()


def application(storage, response):
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/file")
    async def read():
        file = storage.file("file.bin")
        if response is StoredFileResponse:
            return StoredFileResponse(file, mode="proxy")
        return ClosingStreamingResponse(file.stream(), headers={"Content-Length": str(storage.size)})

    return app


@pytest.fixture(params=[StoredFileResponse, ClosingStreamingResponse], ids=["stored file", "any stream"])
def response(request):
    return request.param


@asynccontextmanager
async def requested(url, *, path="/file"):
    """A socket on which the file was asked for, and that reads nothing but the head of the answer."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1024)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        yield reader
    finally:
        writer.transport.abort()


STORAGES = {
    "the storage is waited for": (CHUNK, CHUNK, None),
    "the storage is waited for from the beginning": (None,),
    "the client is waited for": (CHUNK,) * 1000,  # more than sockets take in
}


@pytest.mark.parametrize("steps", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("behind", ["nothing", "a middleware"])
async def test_a_client_that_goes_releases_the_storage_at_once(response, steps, behind):
    storage = Watched(*steps, size=1000 * len(CHUNK))
    await storage.upload(b"", "file.bin")
    app = application(storage, response)
    if behind == "a middleware":

        @app.middleware("http")
        async def passing(request, call_next):
            return await call_next(request)

    gc.disable()
    try:
        async with served(app) as url, asyncio.timeout(HANGS):
            async with requested(url) as reader:
                if None in steps:
                    await storage.waits.wait()
                else:
                    await reader.readuntil(b"\r\n\r\n")
                assert not storage.closed.is_set()
            await storage.closed.wait()
            [stream] = storage.streams
            assert stream.ag_frame is None
    finally:
        gc.enable()


async def test_a_client_that_goes_releases_its_connection_to_s3(s3_server, s3_bucket):
    ended = asyncio.Queue()
    async with s3_storage(s3_server, s3_bucket) as storage:
        await storage.upload(bytes(32 << 20), "file.bin")
        streams, stream = [], storage.stream
        storage.stream = lambda *args, **options: streams.append(stream(*args, **options)) or streams[-1]
        hook = lambda event: event.operation == "stream" and ended.put_nowait(event)  # noqa: E731
        events.hooks.append(hook)
        gc.disable()
        try:
            async with served(application(storage, StoredFileResponse)) as url, asyncio.timeout(HANGS):
                async with requested(url) as reader:
                    await reader.readuntil(b"\r\n\r\n")
                    assert ended.empty()
                event = await ended.get()
        finally:
            gc.enable()
            events.hooks.remove(hook)
    assert event.outcome in {"abandoned", "cancelled"}
    assert 0 < event.bytes < 32 << 20
    assert streams[0].ag_frame is None


async def test_what_fails_before_the_first_byte_is_an_answer(response):
    storage = Watched(StorageUnavailableException("10.0.0.7:9000 refused the connection"))
    await storage.upload(b"", "file.bin")
    async with asking(application(storage, response)) as client:
        answer = await client.get("/file")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert "10.0.0.7" not in answer.text


FAILURES = {
    "the storage breaks off": (CHUNK, CHUNK, StorageUnavailableException("broken off")),
    "the checksum fails behind the last byte": (*(CHUNK,) * 10, ChecksumMismatchException("crc32")),
    "the file has become shorter": (CHUNK,) * 9,
    "the file has become longer": (CHUNK,) * 11,
    "the file has become empty": (),
}


@pytest.mark.parametrize("steps", FAILURES.values(), ids=FAILURES)
async def test_what_fails_later_is_never_taken_for_whole(response, steps):
    storage = Watched(*steps)
    await storage.upload(b"", "file.bin")
    async with asking(application(storage, response)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/file")
    [stream] = storage.streams
    assert stream.ag_frame is None


async def test_what_comes_after_the_answer_comes_for_those_who_went_as_well():
    storage, done = Watched(CHUNK, None), asyncio.Event()
    await storage.upload(b"", "file.bin")
    app = FastAPI()

    @app.get("/file")
    async def read(background: BackgroundTasks):
        background.add_task(done.set)
        return StoredFileResponse(storage.file("file.bin"))

    async with served(app) as url, asyncio.timeout(HANGS):
        async with requested(url):
            await storage.waits.wait()
        await done.wait()


# ---- errors tell strangers nothing


async def test_a_file_that_is_missing_is_not_found(s3_server, s3_bucket):
    async with s3_storage(s3_server, s3_bucket) as storage:
        await assert_problem(storage, 404, "file_not_found", s3_bucket, "file.bin")


async def test_a_storage_that_cannot_be_reached_is_unavailable(s3_server):
    async with s3_storage(s3_server, "secret-bucket", endpoint_url="http://127.0.0.1:1", options=FAST) as storage:
        await assert_problem(storage, 503, "storage_unavailable", "secret-bucket", "127.0.0.1:1", "file.bin")


async def assert_problem(storage, status, code, *hidden):
    async with asking(application(storage, StoredFileResponse)) as client:
        answer = await client.get("/file")
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert not [text for text in hidden if text in answer.text]
