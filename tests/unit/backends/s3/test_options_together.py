"""Options that meet in one request: locks without checksums, parts that somebody else pays for."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from async_storages import CustomerKey, FileExistsException, S3Storage, UploadOptions
from async_storages.backends.buckets.server_errors import FileChanged
from tests.support.s3 import FAST
from tests.support.scripted import reply, scripted

KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
LOCKED = UploadOptions(lock_mode="GOVERNANCE", lock_until=datetime(2040, 1, 1, tzinfo=UTC))


async def test_a_lock_without_checksums_comes_with_an_md5():
    """S3 refuses the name of a checksum that does not come."""
    asked = []

    def answer(request):
        asked.append(request)
        return reply(200, ETag='"827ccb0eea8a706c4c34a16891f84e7b"')

    async with (
        scripted(answer) as server,
        S3Storage("photos", endpoint_url=server.url, checksums="never", options=FAST, **KEYS) as storage,
    ):
        await storage.save(b"12345", "a.txt", options=LOCKED)
    [sent] = asked
    assert sent.headers["x-amz-object-lock-mode"] == "GOVERNANCE"
    assert sent.headers["Content-MD5"] == "gnzLDuqKcGxMNKFokfhOew=="
    assert not [name for name in sent.headers if "checksum" in name.lower()]


async def test_who_pays_for_a_part_is_said_in_its_url():
    """Browsers know no more of a part than its URL."""
    storage = S3Storage("photos", requester_pays=True, **KEYS)
    query = parse_qs(urlsplit(await storage.part_uploads.presign_part("a.txt", "id", 1, size=5)).query)
    assert query["x-amz-request-payer"] == ["requester"]
    assert query["X-Amz-SignedHeaders"] == ["content-length;host"]


async def test_a_copy_of_another_version_is_undone_under_a_customers_key():
    """What is looked at before it is removed needs the key as well."""
    first, second = (f'"{digit * 32}"' for digit in "ab")
    asked = []

    def answer(request):
        name = request.path.rpartition("/")[2].partition("?")[0]
        asked.append((request.method, name))
        if request.method == "DELETE":
            return reply(204, Content_Length=None)
        if "x-amz-server-side-encryption-customer-key" not in request.headers:
            return reply(400)
        if request.method == "PUT":
            return reply(200, f"<CopyObjectResult><ETag>{second}</ETag></CopyObjectResult>".encode())
        return reply(200, ETag=first if name == "a.txt" else second, Content_Length="5")

    encrypted = UploadOptions(encryption=CustomerKey(bytes(32)))
    async with (
        scripted(answer) as server,
        S3Storage(
            "photos",
            endpoint_url=server.url,
            conditional_writes=True,
            upload_options=encrypted,
            options=FAST,
            **KEYS,
        ) as storage,
    ):
        with pytest.raises(FileChanged):
            await storage.copy("a.txt", "b.txt", overwrite=False)
    assert asked[-1] == ("DELETE", "b.txt")


async def test_a_key_that_another_took_after_a_refused_checksum_is_taken():
    """The refused attempt stored nothing, so the same bytes under this key are not ours."""

    def answer(request):
        if request.method == "PUT" and "x-amz-checksum-crc32" in request.headers:
            return reply(400, b"<Error><Code>InvalidArgument</Code></Error>")
        if request.method == "PUT":
            return reply(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        return reply(200, ETag='"827ccb0eea8a706c4c34a16891f84e7b"', Content_Length="5")

    async with (
        scripted(answer) as server,
        S3Storage("photos", endpoint_url=server.url, conditional_writes=True, options=FAST, **KEYS) as storage,
    ):
        with pytest.raises(FileExistsException):
            await storage.upload(b"12345", "a.txt", overwrite=False)
