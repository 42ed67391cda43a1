"""S3 storages on the test server, and what the server holds besides files."""

from urllib.parse import urlsplit

from async_storages.backends.s3.storage import S3Storage
from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.retries import Retries
from async_storages.testing.faults import FaultProxy
from tests.support.patience import TIME_OUT


def copy_in_parts(monkeypatch, above, part_size):
    """Let copies be made in parts above so many bytes, as S3 wants it above 5 GiB, which no test sends."""
    monkeypatch.setattr("async_storages.backends.s3.bucket_writer._LARGEST_AT_ONCE", above)
    monkeypatch.setattr("async_storages.backends.s3.multipart._COPIED_AT_ONCE", part_size)


FAST = HttpOptions(
    connect_timeout=TIME_OUT,
    read_timeout=TIME_OUT,
    pool_timeout=TIME_OUT,
    cleanup_timeout=TIME_OUT,
    retries=Retries(attempts=4, base=0.001, cap=0.01),
)
"""Options with which nothing takes long that goes wrong, and nothing times out that goes on."""


def s3_storage(server, bucket, *, endpoint_url=None, reader=False, **options):
    """A storage on the server, as its administrator or as the one who may only read."""
    key, secret = (
        (server.reader_access_key_id, server.reader_secret_access_key)
        if reader
        else (server.access_key_id, server.secret_access_key)
    )
    return S3Storage(
        bucket,
        endpoint_url=endpoint_url or server.endpoint_url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        **options,
    )


async def open_uploads(storage):
    """The keys of multipart uploads that were neither completed nor aborted."""
    async with storage:
        return [key for key, _ in await storage._client.list_multipart_uploads(storage.bucket)]


def proxy_to(server):
    """A fault proxy in front of the server; not started yet."""
    address = urlsplit(server.endpoint_url)
    return FaultProxy(address.hostname, address.port)
