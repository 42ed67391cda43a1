"""Read requests from a connection, and write answers to it, also malformed ones."""

import asyncio
from asyncio import StreamReader, StreamWriter
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from async_storages.testing._http1 import Head, read_head
from async_storages.testing.s3_stub._behaviours import Behaviours
from async_storages.testing.s3_stub._messages import StubAnswer, StubRequest

__all__ = ["read_request", "write_answer"]

_FILLER = b" " * 8192
_NEXT = b"HTTP/1.1 102 Processing\r\n\r\n"


async def read_request(reader: StreamReader, writer: StreamWriter) -> StubRequest | None:
    """Read the next request of a connection. None at its end."""
    head = await read_head(reader)
    if not head.is_complete:
        return None
    if head.fields.get(b"expect", b"").lower() == b"100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, head)
    method, target, _ = head.words
    path, _, query = target.partition("?")
    bucket, _, key = path.removeprefix("/").partition("/")
    headers = {name.decode("latin-1"): value.decode() for name, value in head.fields.items() if name}
    if (
        "aws-chunked" in headers.get("content-encoding", "")
        or headers.get("x-amz-content-sha256", "")[:9] == "STREAMING"
    ):
        body = _without_aws_chunks(body)
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return StubRequest(method, target, unquote(bucket), unquote(key), parameters, headers, body)


async def _read_body(reader: StreamReader, head: Head) -> bytes:
    if not head.is_chunked:
        return await reader.readexactly(head.content_length or 0)
    body = bytearray()
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass  # a trailer
    return bytes(body)


def _without_aws_chunks(body: bytes) -> bytes:
    """Decode ``aws-chunked`` bytes. It does not check signatures and trailer."""
    found = bytearray()
    while body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        found += body[:size]
        body = body[size + 2 :]
    return bytes(found)


async def write_answer(writer: StreamWriter, request: StubRequest, answer: StubAnswer, behaviour: Behaviours) -> None:
    """Write an answer. An endless one continues until the client closes the connection."""
    while "interim" in behaviour.endless:
        await _send(writer, _NEXT)
        await asyncio.sleep(0)
    is_endless = answer.kind in behaviour.endless and request.method != "HEAD"
    headers = dict(answer.headers)
    if not is_endless and answer.status not in {204, 304} and answer.kind != "head without length":
        headers.setdefault("Content-Length", str(len(answer.body)))
    phrase = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else "Unknown"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    await _send(writer, f"HTTP/1.1 {answer.status} {phrase}\r\n{lines}\r\n".encode())
    if request.method == "HEAD":
        return
    if behaviour.seconds_per_byte and answer.kind != "content":
        for position in range(len(answer.body)):
            await asyncio.sleep(behaviour.seconds_per_byte)
            await _send(writer, answer.body[position : position + 1])
    elif is_endless:
        await _send(writer, answer.body[: answer.body.rfind(b"</")])
        while True:
            await _send(writer, _FILLER)
            await asyncio.sleep(0)
    else:
        await _send(writer, answer.body)


async def _send(writer: StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
