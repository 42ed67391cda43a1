"""HTTP requests as a hostile or hasty client sends them: byte by byte, over its own socket."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Connection:
    """A connection on which anything may be sent."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def begin(self, path, content_length, content_type, method="POST"):
        """Send the head of a request."""
        await self.send(
            f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {content_length}\r\n\r\n".encode()
        )

    async def status(self):
        """The status of the answer."""
        line = await self._reader.readline()
        return int(line.split(b" ")[1])


@asynccontextmanager
async def connected(url):
    """A connection to the server; leaving the block is the client going away."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
