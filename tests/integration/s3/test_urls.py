"""Every form of URL with every kind of key, really fetched."""

import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

import pytest

from async_storages.backends.s3.storage import S3Storage
from async_storages.backends.s3.wire import Request
from async_storages.testing.contract.http import form, request
from async_storages.testing.contract.names import KEYS
from async_storages.testing.seaweedfs import find_program, seaweedfs_server
from tests.support.scripted import reply, scripted

FOREIGN = {
    "question mark": "what?a=b.txt",
    "quotes": "\"'`.txt",
    "pipe": "a|b<c>.txt",
    "encoded slash": "%2f%3F%23.txt",
}
"""Keys that `upload` would refuse; other tools make such."""

AWKWARD = pytest.mark.parametrize("key", [pytest.param(key, id=label) for label, key in (KEYS | FOREIGN).items()])


async def put(storage, key):
    await storage._client.put_object(storage.bucket, key, key.encode(), headers={"Content-Type": "text/plain"})


async def allow_everyone(storage):
    """Let anybody read the bucket."""
    resource = f"arn:aws:s3:::{storage.bucket}/*"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    wire = storage._client.wire
    body = wire.body(json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode())
    await wire.exchange(Request(method="PUT", bucket=storage.bucket, query={"policy": ""}, body=body))


@AWKWARD
async def test_a_public_url_leads_to_the_file(storage, key):
    await allow_everyone(storage)
    await put(storage, key)
    answer = await request("GET", await storage.get_path(key))
    assert (answer.status, answer.body) == (200, key.encode())


@AWKWARD
async def test_a_url_of_the_custom_domain_leads_to_the_file(s3, storage, key):
    """Through a CDN that asks the bucket for the path that it is asked for."""

    async def cdn(asked):
        name = unquote(urlsplit(asked.path).path.removeprefix("/media/"))
        return reply(200, b"".join([chunk async for chunk in storage._client.get_object(storage.bucket, name)]))

    await put(storage, key)
    async with scripted(cdn) as server:
        public = await s3(custom_domain=f"{server.url}/media")
        answer = await request("GET", await public.get_path(key))
    assert (answer.status, answer.body) == (200, key.encode())


@AWKWARD
async def test_presigned_urls_do_what_they_are_for(storage, key):
    await use_presigned(storage, key)


async def use_presigned(storage, key):
    await put(storage, key)
    [listed] = storage.presign_many([key])
    for url in (
        storage.presign(key),
        listed,
        storage.presign(key, filename=key),
        await storage.file(key).get_presigned_url(),
    ):
        answer = await request("GET", url)
        assert (answer.status, answer.body) == (200, key.encode())
    assert (await request("HEAD", storage.presign(key, method="HEAD"))).status == 200
    assert (await request("DELETE", storage.presign(key, method="DELETE"))).status == 204
    assert not await storage.exists(key)
    if key in KEYS.values():
        assert (await request("PUT", storage.presign(key, method="PUT"), b"put")).status == 200
        assert await storage.read(key) == b"put"
        made = await storage.presign_post(key)
        body, content_type = form(made.fields, b"posted")
        assert (await request("POST", made.url, body, content_type=content_type)).status == 201
        assert await storage.read(key) == b"posted"


@pytest.fixture(scope="module")
def virtual_server():
    """A server whose buckets are part of the host name."""
    with TemporaryDirectory() as folder:
        program = Path(folder, "weed")
        program.write_text(f'#!/bin/sh\nexec {find_program()} "$@" -s3.domainName=localhost\n')
        program.chmod(0o755)
        with seaweedfs_server(program) as server:
            yield server


@pytest.fixture
def localhosts(monkeypatch):
    """Names below localhost lead here (RFC 6761), as not every system knows."""
    real = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        return real("127.0.0.1" if str(host).endswith(".localhost") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
async def virtual(virtual_server, localhosts):
    """A storage in virtual-host style, with a bucket of its own."""
    async with S3Storage(
        "virtual-bucket",
        endpoint_url=f"localhost:{urlsplit(virtual_server.endpoint_url).port}",
        use_ssl=False,
        addressing_style="virtual",
        aws_access_key_id=virtual_server.access_key_id,
        aws_secret_access_key=virtual_server.secret_access_key,
    ) as storage:
        yield storage


@AWKWARD
async def test_in_virtual_host_style_it_is_the_same(virtual, virtual_server, key):
    port = urlsplit(virtual_server.endpoint_url).port
    assert await virtual.get_path("a") == f"http://virtual-bucket.localhost:{port}/a"
    await use_presigned(virtual, key)


async def test_in_virtual_host_style_everything_else_works_too(virtual):
    saved = await virtual.save(b"x" * 9_000_000, "a b.txt", folder="all")
    assert await virtual.get_size(saved) == 9_000_000
    await virtual.copy(saved, "all/copy.txt")
    assert len([info async for info in virtual.list("all/")]) == 2
    await virtual.delete_many([saved, "all/copy.txt"])
    assert [info async for info in virtual.list("all/")] == []


# ---- what they are not for


@pytest.mark.parametrize("options", [{}, {"filename": "b.txt", "content_type": "a/b"}], ids=["plain", "described"])
async def test_a_presigned_url_is_good_for_its_bucket_only(storage, s3_server, options):
    await storage.upload(b"content", "a.txt")
    url = storage.presign("a.txt", **options).replace(storage.bucket, s3_server.bucket)
    assert (await request("GET", url)).status == 403


async def test_a_url_allows_no_more_than_whoever_signed_it_may_do(s3, s3_server):
    storage = await s3(bucket=s3_server.bucket)
    reader = await s3(bucket=s3_server.bucket, reader=True)
    saved = await storage.save(b"content", "a.txt")
    assert (await request("GET", reader.presign(saved))).status == 200
    assert (await request("PUT", reader.presign(saved, method="PUT"), b"new")).status == 403
    assert (await request("DELETE", reader.presign(saved, method="DELETE"))).status == 403
    assert await saved.read() == b"content"
    await saved.delete()


async def test_a_presigned_put_keeps_the_class_of_the_storage(s3):
    storage = await s3(storage_class="STANDARD_IA", default_acl="private")
    url = storage.presign("a.txt", method="PUT")
    assert (await request("PUT", url, b"put")).status == 403  # what was signed must come with it
    assert (await request("PUT", url, b"put", headers=storage.presigned_headers())).status == 200
    assert await storage.read("a.txt") == b"put"
    assert (await storage.info("a.txt")).storage_class == "STANDARD_IA"
    await storage.upload(b"uploaded", "b.txt")
    assert (await storage.info("b.txt")).storage_class == "STANDARD_IA"


async def test_the_form_is_for_its_key_only(storage):
    made = await storage.presign_post("a.txt", max_size=100)
    body, content_type = form(made.fields | {"key": "b.txt"}, b"posted")
    assert (await request("POST", made.url, body, content_type=content_type)).status == 403
    assert [info async for info in storage.list()] == []
