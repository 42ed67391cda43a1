"""A proxy for HTTP, as companies have them: it tunnels (CONNECT) and passes on (absolute form), and notes for whom."""

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.relays import relayed, serving


@dataclass
class HttpProxy:
    """A running proxy.

    Attributes:
        url: Its root; the user and password, if it wants them, are for the caller to add.
        asked: Method and target of the first request of each connection.
    """

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)


@asynccontextmanager
async def http_proxy(*, password: str | None = None, context=None, says: int | None = None):
    """Serve as a proxy.

    Args:
        password: ``user:password`` that it wants.
        context: For a proxy that is asked over TLS.
        says: The status of every answer; it lets nothing through then.
    """
    state = HttpProxy()
    wanted = None if password is None else f"Basic {base64.b64encode(password.encode()).decode()}"

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ")
        state.asked.append((method, target))
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        refusal = says or (407 if wanted is not None and headers.get("proxy-authorization") != wanted else None)
        if refusal:
            writer.write(f"HTTP/1.1 {refusal} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        server = urlsplit(f"//{target}" if method == "CONNECT" else target)
        upstream = await asyncio.open_connection(server.hostname, server.port or 80)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            upstream[1].write(head)  # servers take the absolute form, too: RFC 9112 section 3.2.2
        await relayed(reader, writer, upstream)

    async with serving(answer, context) as state.url:
        yield state
