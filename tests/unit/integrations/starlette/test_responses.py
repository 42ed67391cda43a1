"""What servers do other than uvicorn: the generator is closed on every path."""

import asyncio

import pytest

from async_storages import StorageOperationException, ZipEntry, zip_size
from async_storages.integrations.starlette import ClosingStreamingResponse, ZipResponse
from async_storages.manager.services import ZipDownload

SCOPE = {"type": "http", "asgi": {"spec_version": "2.4"}}


class Chunks:
    """A stream that is kept, so that only `aclose` can close it."""

    def __init__(self, *chunks):
        self.closed, self.closing = False, asyncio.Event()
        self.stream = self._stream(chunks)

    async def _stream(self, chunks):
        try:
            for chunk in chunks:
                yield chunk
        finally:
            self.closing.set()
            await asyncio.sleep(0)  # closing takes time
            self.closed = True


class Server:
    """An ASGI server whose client goes away when `gone` is set."""

    def __init__(self, *, after=1_000, failure=None):
        self.gone, self.blocked = asyncio.Event(), asyncio.Event()
        self.sent = []
        self.after, self.failure = after, failure

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if len(self.sent) == self.after:
            self.blocked.set()
            if self.failure:
                raise self.failure
            await asyncio.Event().wait()
        self.sent.append(message)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent)


async def test_a_client_that_goes_while_it_is_waited_for():
    chunks, server = Chunks(b"1", b"2", b"3"), Server(after=2)
    response = ClosingStreamingResponse(chunks.stream)
    async with asyncio.TaskGroup() as group:
        group.create_task(response(SCOPE, server.receive, server.send))
        await server.blocked.wait()
        server.gone.set()
    assert chunks.closed
    assert server.body == b"1"


@pytest.mark.parametrize("after", range(4))
async def test_a_server_that_says_so_when_it_is_sent_to(after):
    chunks, server = Chunks(b"1", b"2", b"3"), Server(after=after, failure=OSError("gone"))
    await ClosingStreamingResponse(chunks.stream)(SCOPE, server.receive, server.send)
    assert chunks.closed


@pytest.mark.parametrize("times", [1, 3])
async def test_a_server_that_cancels(times):
    chunks, server = Chunks(b"1", b"2", b"3"), Server(after=2)
    answering = asyncio.create_task(ClosingStreamingResponse(chunks.stream)(SCOPE, server.receive, server.send))
    await server.blocked.wait()
    for _ in range(times):
        answering.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert chunks.closed


@pytest.mark.parametrize("failure", [None, OSError("gone")], ids=["it waits", "it says so"])
async def test_a_server_that_cancels_while_the_stream_is_closed(failure):
    chunks, server = Chunks(b"1", b"2", b"3"), Server(after=2, failure=failure)
    answering = asyncio.create_task(ClosingStreamingResponse(chunks.stream)(SCOPE, server.receive, server.send))
    await server.blocked.wait()
    server.gone.set()
    await chunks.closing.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert chunks.closed


@pytest.mark.parametrize("chunks", [(), (b"",), (b"1",), (b"1", b"2"), (b"", b"1", b"", b"2", b"")], ids=repr)
async def test_all_of_it_is_sent(chunks):
    source, server = Chunks(*chunks), Server()
    await ClosingStreamingResponse(source.stream)(SCOPE, server.receive, server.send)
    assert (server.body, source.closed) == (b"".join(chunks), bool(chunks) or source.closed)
    assert [message["more_body"] for message in server.sent[1:]][-1] is False


@pytest.mark.parametrize("length", ["0", "2", "4"])
async def test_a_length_that_does_not_hold(length):
    chunks, server = Chunks(b"1", b"2", b"3"), Server()
    response = ClosingStreamingResponse(chunks.stream, headers={"Content-Length": length})
    with pytest.raises(StorageOperationException):
        await response(SCOPE, server.receive, server.send)
    assert chunks.closed
    assert len(server.body) <= int(length)
    assert not [message for message in server.sent if message.get("more_body") is False]


@pytest.mark.parametrize("is_known", [True, False])
async def test_an_archive_says_its_name_and_its_length_if_known(is_known):
    entries, server = (ZipEntry("a.txt", b"content", size=7),), Server()
    archive = ZipDownload(entries, zip_size(entries) if is_known else None)
    response = ZipResponse(archive, "../all\r\n.zip")
    await response(SCOPE, server.receive, server.send)
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"] == 'attachment; filename="all.zip"'
    assert response.headers.get("content-length") == (str(len(server.body)) if is_known else None)


async def test_a_task_group_that_cancels_again_and_again():
    anyio = pytest.importorskip("anyio")
    chunks, server = Chunks(b"1", b"2"), Server(after=1)
    async with anyio.create_task_group() as group:
        group.start_soon(ClosingStreamingResponse(chunks.stream), SCOPE, server.receive, server.send)
        await server.blocked.wait()
        group.cancel_scope.cancel()
    assert chunks.closed
