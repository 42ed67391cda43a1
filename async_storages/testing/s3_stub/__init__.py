"""An S3 server in memory that imitates the S3 server you choose. It is for tests of S3 clients.

Example:
    ```python
    from async_storages.testing.s3_stub import Behaviours, S3Stub

    async with S3Stub(Behaviours(refuses=("x-amz-checksum-*",))) as stub, stub.storage() as storage:
        await storage.upload(b"hello", "a.txt")
    ```
"""

from async_storages.testing.s3_stub._behaviours import PRESETS, Behaviours, Conditions, Endless
from async_storages.testing.s3_stub._messages import StubAnswer, StubRequest
from async_storages.testing.s3_stub._objects import Bucket, StoredObject, Upload
from async_storages.testing.s3_stub._server import S3Stub

__all__ = [
    "PRESETS",
    "Behaviours",
    "Bucket",
    "Conditions",
    "Endless",
    "S3Stub",
    "StoredObject",
    "StubAnswer",
    "StubRequest",
    "Upload",
]
