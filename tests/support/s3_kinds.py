"""Storages on each S3 server of the suite, and on a folder, which stands in for one."""

from contextlib import asynccontextmanager
from uuid import uuid4

from async_storages import LocalStorage
from async_storages.backends.s3.storage import S3Storage

SERVERS = {
    "seaweedfs": "s3_server",
    "moto": "moto_server",
    "minio-gateway": "minio_gateway",
    "ministack": "ministack_server",
}
"""The servers, and the session's fixtures that start them."""

SECRET = "a secret of the storages"


@asynccontextmanager
async def storage_on(server, **options):
    """A storage on a new bucket of a server."""
    keys = {"aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key}
    async with S3Storage(f"test-{uuid4().hex}", endpoint_url=server.endpoint_url, **keys, **options) as storage:
        await storage.bucket_admin.create()
        yield storage


def local_storage(folder):
    """One that presigns, whose routes nobody serves."""
    return LocalStorage(folder / "files", base_url="/stored", secret_key=SECRET)
