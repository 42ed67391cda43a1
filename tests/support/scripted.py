"""An HTTP server that says what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser


@dataclass
class Asked:
    """A request."""

    method: str
    path: str
    headers: Message
    body: bytes


@dataclass
class Scripted:
    """A running server.

    Attributes:
        url: Its root.
        asked: The requests so far.
        connections: How many clients have connected.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0


class Ending(bytes):
    """What is said before the connection ends."""


def reply(status=200, body=b"", **headers):
    """The bytes of an answer; underscores in the names of headers stand for hyphens."""
    lines = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"HTTP/1.1 {status} Any\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def scripted(answer: Callable[[Asked], bytes | Awaitable[bytes]]) -> AsyncIterator[Scripted]:
    """Serve what `answer` gives for each request; nothing at all ends the connection."""
    state = Scripted()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader, writer):
        state.connections += 1
        try:
            while said := await _answer_to(reader, state.asked, answer):
                writer.write(said)
                await writer.drain()
                if isinstance(said, Ending):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def begin(reader, writer):
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.remove)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer_to(reader, asked, answer):
    head = await reader.readuntil(b"\r\n\r\n")
    first, _, fields = head.partition(b"\r\n")
    method, path, _version = first.decode().split(" ")
    headers = BytesParser().parsebytes(fields)
    request = Asked(method, path, headers, await reader.readexactly(int(headers.get("Content-Length", 0))))
    asked.append(request)
    said = answer(request)
    return said if isinstance(said, bytes) else await said
