"""The connections of a `FaultProxy`. Bytes pass through until a fault happens."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from async_storages.testing._http1 import (
    PIECE,
    Body,
    ChunkedBody,
    Head,
    Request,
    read_head,
    request_length,
    response_length,
)

if TYPE_CHECKING:
    from async_storages.testing.faults._injections import Injection
    from async_storages.testing.faults._places import MessagePart

__all__ = ["Cut", "End", "Flow", "Link"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for no time
_BURSTS = 20  # a second, of what is slowed down

type Read = Callable[[], Awaitable[bytes]]


class Cut(Exception):
    """Ends the connections after sending these last bytes to the client."""

    def __init__(self, message: bytes = b"") -> None:
        super().__init__(message)
        self.message = message


class End:
    """The connection to one side."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # sent bytes are with the system at once
        self.reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def send_end(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        if not self._writer.transport.is_closing():
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.abort()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def wait_closed(self) -> None:
        with suppress(OSError):
            await self._writer.wait_closed()


class Flow:
    """One direction of a link. Faults happen in it."""

    def __init__(
        self, reader: StreamReader, end: End, injections: "Sequence[Injection]", rate: int | None = None
    ) -> None:
        self.reader = reader
        self.end = end
        self.rate = rate
        self._usual_rate = rate
        self._injections = injections
        self.request: Request | None = None
        self.to_copy = 0
        self._copied = b""

    def begin(self, request: Request | None) -> None:
        """Record that the next bytes belong to this request."""
        self.request = request
        self.rate = self._usual_rate

    def waiting(self, part: "MessagePart") -> "list[Injection]":
        """Return the faults that may happen in this part of the message."""
        return [injection for injection in self._injections if injection.concerns(part, self.request)]

    async def carry(self, part: "MessagePart", length: int | None, read: Read) -> None:
        """Pass on the pieces of `read` until it is empty. The faults of this part happen in their places."""
        section = Section(self.waiting(part), length, read)
        while await section.fill():
            await self.strike(section.due())
            piece = section.take(self.to_copy or PIECE)
            await self.send(piece)
            await self._copy(piece)
        await self._send_copy()

    async def strike(self, injections: "Sequence[Injection]") -> None:
        """Apply these faults now, in order."""
        for injection in injections:
            if injection.take():
                await injection.fault.happen(self, injection)

    async def _copy(self, piece: bytes) -> None:
        """Keep a piece that is sent twice. Send the copy once it is complete."""
        if self.to_copy:
            self._copied += piece
            self.to_copy -= len(piece)
            if not self.to_copy:
                await self._send_copy()

    async def _send_copy(self) -> None:
        copied, self._copied, self.to_copy = self._copied, b"", 0
        await self.send(copied)

    async def send(self, data: bytes) -> None:
        """Send as fast as the rate allows."""
        if not self.rate:
            await self.end.send(data)
            return
        burst = max(1, self.rate // _BURSTS)
        for start in range(0, len(data), burst):
            piece = data[start : start + burst]
            await asyncio.sleep(len(piece) / self.rate)
            await self.end.send(piece)


class Section:
    """A part of a message in transit: bytes not yet passed on, and the faults that wait in it."""

    def __init__(self, waiting: "Sequence[Injection]", length: int | None, read: Read) -> None:
        self._waiting = waiting
        self._length = length
        self._read = read
        self._lag = max((injection.place.lag for injection in waiting), default=0) if length is None else 0
        self._held = b""
        self._position = 0
        self._ended = False

    async def fill(self) -> bool:
        """Read until it is known which faults wait at the next byte. False at the end."""
        while not self._ended and len(self._held) <= self._lag:
            piece = await self._read()
            self._held += piece
            if not piece:
                self._end()
        return bool(self._held)

    def due(self) -> "list[Injection]":
        """Take the faults at the next byte. They wait no longer."""
        places = [(injection, injection.place.resolve(self._length)) for injection in self._waiting]
        self._waiting = [injection for injection, place in places if place != self._position]
        return [injection for injection, place in places if place == self._position]

    def take(self, limit: int) -> bytes:
        """Take the bytes before the next place, at most `limit`."""
        places = [injection.place.resolve(self._length) for injection in self._waiting]
        ahead = [place - self._position for place in places if place is not None and place > self._position]
        size = min([limit, len(self._held) - self._lag, *ahead])
        taken, self._held = self._held[:size], self._held[size:]
        self._position += size
        return taken

    def _end(self) -> None:
        self._ended = True
        self._lag = 0
        if self._length is None:
            self._length = self._position + len(self._held)


class Link:
    """A client's connection, the proxy's connection to the upstream for it, and the flow between them."""

    def __init__(
        self, upstream: tuple[str, int], injections: "Sequence[Injection]", requests: list[Request] | None
    ) -> None:
        self._upstream = upstream
        self._injections = injections
        self._requests = requests
        self._unanswered: deque[Request] = deque()
        self._ends: list[End] = []

    async def serve(self, client: socket.socket) -> None:
        """Pass bytes on both ways until both sides end, one fails, or a fault ends them. Then close both."""
        try:
            if cut := await self._carry_until_cut(client):
                await self._take_leave(cut.message)
        finally:
            for end in self._ends:
                end.abort()  # abort both before anything can be cancelled
            for end in self._ends:
                await end.wait_closed()

    async def _carry_until_cut(self, client: socket.socket) -> Cut | None:
        cut = None
        try:
            await self._connect_and_carry(client)
        except* OSError:
            for end in self._ends:
                end.reset()
        except* Cut as cuts:
            [cut] = (error for error in cuts.exceptions[:1] if isinstance(error, Cut))
        return cut

    async def _take_leave(self, message: bytes) -> None:
        """End in good order. Read from a client that still sends: a reset would lose the last bytes sent to it."""
        client, *upstream = self._ends
        for end in upstream:
            end.abort()
        with suppress(OSError):
            await client.send(message)
            client.send_end()
            while await client.reader.read(PIECE):
                continue

    async def _connect_and_carry(self, accepted: socket.socket) -> None:
        client = await self._open(sock=accepted)
        entrance = Flow(client.reader, client, self._injections)
        await entrance.strike(entrance.waiting("connect"))
        host, port = self._upstream
        upstream = await self._open(host=host, port=port)
        there = Flow(client.reader, upstream, self._injections, entrance.rate)
        back = Flow(upstream.reader, client, self._injections, entrance.rate)
        async with asyncio.TaskGroup() as both:
            if self._requests is None:
                both.create_task(_carry_bytes("to upstream", there))
                both.create_task(_carry_bytes("to client", back))
            else:
                both.create_task(self._carry_requests(there, self._requests))
                both.create_task(self._carry_responses(back))

    async def _open(self, **where: Any) -> End:
        end = End(*await asyncio.open_connection(limit=PIECE, **where))
        self._ends.append(end)
        return end

    async def _carry_requests(self, flow: Flow, seen: list[Request]) -> None:
        while (head := await read_head(flow.reader)).is_complete:
            request = Request(*head.words[:2])
            seen.append(request)
            self._unanswered.append(request)
            flow.begin(request)
            await flow.carry("request header", len(head.raw), _once(head.raw))
            await flow.carry("request body", length := request_length(head), _body(flow.reader, head, length))
        await _carry_rest(head, flow)

    async def _carry_responses(self, flow: Flow) -> None:
        while (head := await read_head(flow.reader)).is_complete:
            if head.is_interim:
                await flow.send(head.raw)
                continue
            request = self._unanswered.popleft() if self._unanswered else Request("", "")
            flow.begin(request)
            await flow.carry("response header", len(head.raw), _once(head.raw))
            length = response_length(head, request.method)
            await flow.carry("response body", length, _body(flow.reader, head, length))
        await _carry_rest(head, flow)


def _body(reader: StreamReader, head: Head, length: int | None) -> Read:
    in_chunks = length is None and head.is_chunked
    return (ChunkedBody(reader) if in_chunks else Body(reader, length)).read


def _once(data: bytes) -> Read:
    pieces = [b"", data]

    async def read() -> bytes:
        return pieces.pop()

    return read


async def _carry_bytes(part: "MessagePart", flow: Flow) -> None:
    await flow.carry(part, None, Body(flow.reader).read)
    flow.end.send_end()


async def _carry_rest(head: Head, flow: Flow) -> None:
    """Pass on bytes that are not a message, or an incomplete header."""
    flow.begin(None)
    await flow.send(head.raw)
    while piece := await flow.reader.read(PIECE):
        await flow.send(piece)
    flow.end.send_end()
