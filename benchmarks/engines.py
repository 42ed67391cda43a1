"""S3 clients under one interface, each at its best: one client that is kept, with connections enough.

Each imports what it needs when it begins: the package of one of the peers is called `async_storages` too.
"""

import sys
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

CHUNK = 1 << 18
CONNECTIONS = 64


@dataclass(frozen=True)
class Server:
    """Where S3 is, and in which folder fastapi-async-storages, if it is."""

    endpoint_url: str
    bucket: str
    key_id: str
    secret: str
    peer_folder: str | None


class Engine(ABC):
    """A client of S3. What reads answers how many bytes there are, for the caller to check."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @abstractmethod
    async def begin(self, stack: AsyncExitStack) -> None:
        """Make the client, which the stack closes."""

    @abstractmethod
    async def put(self, key: str, content: bytes) -> None: ...

    @abstractmethod
    async def get(self, key: str) -> int: ...

    @abstractmethod
    async def head(self, key: str) -> int: ...

    @abstractmethod
    async def delete(self, key: str) -> None: ...

    @abstractmethod
    async def upload(self, key: str, file: BinaryIO) -> None: ...

    @abstractmethod
    async def download(self, key: str) -> int:
        """Read all of it, in chunks where it can."""


class Ours(Engine):
    async def begin(self, stack: AsyncExitStack) -> None:
        from async_storages import S3Storage

        server = self.server
        storage = S3Storage(
            server.bucket,
            endpoint_url=server.endpoint_url,
            aws_access_key_id=server.key_id,
            aws_secret_access_key=server.secret,
        )
        self.storage = await stack.enter_async_context(storage)

    async def put(self, key: str, content: bytes) -> None:
        await self.storage.upload(content, key)

    async def get(self, key: str) -> int:
        return len(await self.storage.read(key))

    async def head(self, key: str) -> int:
        return (await self.storage.stat(key)).file_size

    async def delete(self, key: str) -> None:
        await self.storage.delete(key)

    async def upload(self, key: str, file: BinaryIO) -> None:
        await self.storage.upload(file, key)

    async def download(self, key: str) -> int:
        size = 0
        async for chunk in self.storage.stream(key, chunk_size=CHUNK):
            size += len(chunk)
        return size


class Aioboto3(Engine):
    async def begin(self, stack: AsyncExitStack) -> None:
        import aioboto3
        from botocore.config import Config

        client = aioboto3.Session().client(
            "s3",
            config=Config(max_pool_connections=CONNECTIONS),
            endpoint_url=self.server.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.server.key_id,
            aws_secret_access_key=self.server.secret,
        )
        self.client: Any = await stack.enter_async_context(client)

    def target(self, key: str) -> dict[str, str]:
        return {"Bucket": self.server.bucket, "Key": key}

    async def put(self, key: str, content: bytes) -> None:
        await self.client.put_object(**self.target(key), Body=content)

    async def get(self, key: str) -> int:
        answer = await self.client.get_object(**self.target(key))
        async with answer["Body"] as body:
            return len(await body.read())

    async def head(self, key: str) -> int:
        return (await self.client.head_object(**self.target(key)))["ContentLength"]

    async def delete(self, key: str) -> None:
        await self.client.delete_object(**self.target(key))

    async def upload(self, key: str, file: BinaryIO) -> None:
        await self.client.upload_fileobj(file, **self.target(key))

    async def download(self, key: str) -> int:
        size = 0
        answer = await self.client.get_object(**self.target(key))
        async for chunk in answer["Body"].iter_chunks(CHUNK):  # by default they are of 1 KiB
            size += len(chunk)
        return size


class Obstore(Engine):
    async def begin(self, stack: AsyncExitStack) -> None:
        from obstore.store import S3Store

        self.store = S3Store(
            self.server.bucket,
            endpoint=self.server.endpoint_url,
            region="us-east-1",
            access_key_id=self.server.key_id,
            secret_access_key=self.server.secret,
            client_options={"allow_http": True},
        )

    async def put(self, key: str, content: bytes) -> None:
        await self.store.put_async(key, content)

    async def get(self, key: str) -> int:
        return len(bytes(await (await self.store.get_async(key)).bytes_async()))

    async def head(self, key: str) -> int:
        return (await self.store.head_async(key))["size"]

    async def delete(self, key: str) -> None:
        await self.store.delete_async(key)

    async def upload(self, key: str, file: BinaryIO) -> None:
        await self.store.put_async(key, file)

    async def download(self, key: str) -> int:
        size = 0
        async for chunk in (await self.store.get_async(key)).stream(min_chunk_size=CHUNK):
            size += len(chunk)
        return size


class FastapiAsyncStorages(Engine):
    """Makes a client per call."""

    async def begin(self, stack: AsyncExitStack) -> None:
        sys.path.insert(0, str(self.server.peer_folder))
        from async_storages.s3 import S3Storage

        scheme, _, address = self.server.endpoint_url.partition("://")
        self.storage: Any = S3Storage(
            self.server.bucket,
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id=self.server.key_id,
            aws_secret_access_key=self.server.secret,
            use_ssl=scheme == "https",
        )

    async def put(self, key: str, content: bytes) -> None:
        await self.storage.upload(BytesIO(content), key)

    async def get(self, key: str) -> int:
        return len((await self.storage.open(key)).getvalue())

    async def head(self, key: str) -> int:
        return await self.storage.get_size(key)

    async def delete(self, key: str) -> None:
        await self.storage.delete(key)

    async def upload(self, key: str, file: BinaryIO) -> None:
        await self.storage.upload(file, key)

    async def download(self, key: str) -> int:
        return await self.get(key)


ENGINES: dict[str, type[Engine]] = {
    "ours": Ours,
    "aioboto3": Aioboto3,
    "obstore": Obstore,
    "fastapi-async-storages": FastapiAsyncStorages,
}
