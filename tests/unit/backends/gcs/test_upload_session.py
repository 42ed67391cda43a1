"""Uploads to servers that contradict themselves, and the body of an upload in one request."""

from dataclasses import replace

import pytest

from async_storages import GCSStorage
from async_storages.backends.gcs.upload_session import related_body
from async_storages.backends.transport.retries import Retries
from async_storages.errors import StorageOperationException
from tests.support.gcs import FAST
from tests.support.scripted import reply, scripted

PART = 256 * 1024
OBJECT = b'{"name": "a", "size": "1", "generation": "1"}'
TWICE = replace(FAST, retries=Retries(attempts=2, base=0))

ANSWERS = {
    "takes a part for all": (reply(200, OBJECT), "took a part for the last one"),
    "has more than was sent": (reply(308, Range=f"bytes=0-{PART}"), "when it should have 0 to"),
    "has lost what it had": (
        [reply(308, Range=f"bytes=0-{PART - 1}"), reply(308)],
        "GCS has 0 bytes, when it should have 262144 to 524288",
    ),
    "makes nothing of it": (
        [reply(308, Range=f"bytes=0-{n * PART - 1}") for n in (1, 2, 3, 3, 3, 3)],
        "keeps having no more than",
    ),
    "makes something else of it": (
        [*(reply(308, Range=f"bytes=0-{n * PART - 1}") for n in (1, 2)), reply(200, b"{}")],
        "not what was asked for",
    ),
    "redirects": (reply(301, Location="http://elsewhere.example.com"), "GCS answered 301"),
}


@pytest.mark.parametrize(("answers", "reason"), ANSWERS.values(), ids=ANSWERS)
async def test_an_upload_whose_server_errs_fails_and_is_given_up(answers, reason):
    waiting = iter(answers if isinstance(answers, list) else [])

    def answer(asked):
        if asked.method == "POST":
            return reply(Location="/session?id=1")
        if asked.method == "DELETE":
            return reply(499)
        return next(waiting) if isinstance(answers, list) else answers

    async with (
        scripted(answer) as server,
        GCSStorage("photos", endpoint_url=server.url, anonymous=True, options=TWICE, part_size=PART) as storage,
    ):
        with pytest.raises(StorageOperationException, match=reason):
            await storage.upload(bytes(3 * PART), "a")
    assert (server.asked[-1].method, server.asked[-1].path) == ("DELETE", "/session?id=1")


async def test_a_listing_that_goes_in_circles_ends():
    page = reply(200, b'{"items": [%s], "nextPageToken": "again"}' % OBJECT)
    async with (
        scripted(lambda asked: page) as server,
        GCSStorage("photos", endpoint_url=server.url, anonymous=True) as storage,
    ):
        with pytest.raises(StorageOperationException, match="again and again"):
            [info async for info in storage.list()]


@pytest.mark.parametrize("content", [b"", b"hello", b"\r\n--", b"\r\n\r\n", bytes(range(256))], ids=range(5))
def test_a_body_has_two_parts(content):
    headers, body = related_body({"name": "合同", "contentType": "a/b"}, content)
    boundary = headers["Content-Type"].removeprefix("multipart/related; boundary=").encode()
    assert body.count(boundary) == 3
    _, described, rest, end = body.split(b"--" + boundary)
    assert described.endswith(b'\r\n\r\n{"name": "\\u5408\\u540c", "contentType": "a/b"}\r\n')
    assert rest == b"\r\nContent-Type: a/b\r\n\r\n" + content + b"\r\n"
    assert end == b"--\r\n"
