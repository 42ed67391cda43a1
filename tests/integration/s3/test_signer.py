"""What the signer can sign, and a storage seldom or never asks for, judged by the real server."""

import base64
import hashlib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import pytest
from yarl import URL

from async_storages.backends.s3.endpoint import Endpoint
from async_storages.backends.s3.sigv4 import (
    EMPTY_SHA256,
    STREAMING_UNSIGNED_PAYLOAD_TRAILER,
    UNSIGNED_PAYLOAD,
    Credentials,
    Signer,
    encode_query,
)
from async_storages.backends.s3.xml_messages import parse_text

KEYS = pytest.mark.parametrize("key", ["a b+%41~", "été/写真😀.jpg", "?a=b&c;d#e", "(a)[b]{c}'\"`<>|^,:@$!*"])


@dataclass
class Client:
    """Sends what was signed: path and query as they are, and no header of its own but Host."""

    http: aiohttp.ClientSession
    endpoint: Endpoint
    signer: Signer

    async def send(self, method, url, headers=None, body=None):
        skipped = {"Content-Type", "Accept", "User-Agent", "Accept-Encoding"}
        sent = {"headers": headers, "data": body, "skip_auto_headers": skipped}
        async with self.http.request(method, URL(url, encoded=True), **sent) as answer:
            return answer.status, answer.headers, await answer.read()

    def presign(self, method, key, **options):
        presign = self.signer.presigner(method, self.endpoint.origin, expires_in=60, now=datetime.now(UTC), **options)
        return presign(self.endpoint.path(key))

    async def signed(self, method, key="", *, query=None, headers=None, body=None, payload_hash=EMPTY_SHA256):
        path = self.endpoint.path(key) if key else self.endpoint.bucket_path
        options = {"payload_hash": payload_hash, "query": query, "headers": headers}
        signature = self.signer.sign(method, self.endpoint.host, path, now=datetime.now(UTC), **options)
        url = f"{self.endpoint.origin}{path}" + (f"?{encode_query(query)}" if query else "")
        return await self.send(method, url, {**(headers or {}), **signature}, body)


@pytest.fixture
async def client(s3_server, s3_bucket):
    endpoint = Endpoint.for_bucket(s3_bucket, endpoint_url=s3_server.endpoint_url)
    credentials = Credentials(s3_server.access_key_id, s3_server.secret_access_key)
    async with aiohttp.ClientSession() as http:
        yield Client(http, endpoint, Signer(credentials, endpoint.region))


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@KEYS
async def test_presigned_headers_must_be_sent_and_presigned_ones_come_back(client, key):
    headers = {"content-type": 'text/x-me; a="b  c"', "x-amz-meta-who": "me   too", "content-length": "3"}
    url = client.presign("PUT", key, headers=headers)
    for altered in ({"x-amz-meta-who": "you"}, {"content-type": "text/html"}):
        status, _, _ = await client.send("PUT", url, headers | altered, b"put")
        assert status == 403
    status, _, _ = await client.send("PUT", url, headers, b"put")
    assert status == 200
    asked = {
        "response-content-disposition": "attachment; filename*=UTF-8''a%20b",
        "response-content-type": 'x/y+z; a="~"',
    }
    status, answered, body = await client.send("GET", client.presign("GET", key, query=asked))
    assert (status, body) == (200, b"put")
    assert {name: answered[name.removeprefix("response-")] for name in asked} == asked


BODIES = {
    "signed": lambda data: (data, hashlib.sha256(data).hexdigest(), {"x-amz-checksum-crc32": crc32(data)}),
    "unsigned": lambda data: (data, UNSIGNED_PAYLOAD, {"x-amz-checksum-crc32": crc32(data)}),
    "with a trailer": lambda data: (
        b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (len(data), data, crc32(data).encode()),
        STREAMING_UNSIGNED_PAYLOAD_TRAILER,
        {
            "content-encoding": "aws-chunked",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": str(len(data)),
        },
    ),
}


@KEYS
@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
async def test_a_body_may_be_signed_in_several_ways(client, key, make):
    body, payload_hash, headers = make(key.encode())
    status, _, _ = await client.signed("PUT", key, headers=headers, body=body, payload_hash=payload_hash)
    assert status == 200
    status, _, found = await client.signed("GET", key, headers={"range": "bytes=1-2"})
    assert (status, found) == (206, key.encode()[1:3])


@KEYS
async def test_queries_are_signed(client, key):
    status, _, body = await client.signed("POST", key, query={"uploads": ""})
    assert status == 200
    part = {"partNumber": "1", "uploadId": parse_text(body, "UploadId")}
    status, _, _ = await client.send("PUT", client.presign("PUT", key, query=part), body=b"part")
    assert status == 200
    status, _, body = await client.signed("GET", query={"uploads": "", "prefix": key, "encoding-type": "url"})
    assert (status, body.count(b"<UploadId>")) == (200, 1)
    status, _, _ = await client.signed("DELETE", key, query={"uploadId": part["uploadId"]})
    assert status == 204


@KEYS
async def test_a_form_holds_to_its_conditions(client, key):
    fields = client.signer.presign_post(
        client.endpoint.prefix.removeprefix("/"),
        key,
        expires_in=60,
        now=datetime.now(UTC),
        fields={"Content-Type": "image/png", "x-amz-meta-a": "ü b"},
        conditions=[
            ["content-length-range", 1, 5],
            ["starts-with", "$Content-Type", "image/"],
            {"x-amz-meta-a": "ü b"},
        ],
    )
    for altered, file, expected in (
        ({}, b"123456", 400),
        ({"Content-Type": "text/html"}, b"12345", 403),
        ({"x-amz-meta-a": "b"}, b"12345", 403),
        ({}, b"12345", 204),
    ):
        form = aiohttp.FormData({**fields, **altered})
        form.add_field("file", file, filename="evil.txt")
        async with client.http.post(client.endpoint.bucket_url, data=form) as answer:
            assert answer.status == expected
    status, _, body = await client.send("GET", client.presign("GET", key))
    assert (status, body) == (200, b"12345")
