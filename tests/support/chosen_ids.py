"""A storage that chooses the ids of its files as FastDFS does, in memory, and an HTTP server that asks for tokens."""

import re
import struct
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import md5
from pathlib import PurePosixPath
from secrets import randbits, token_bytes, token_hex
from typing import Any
from zlib import crc32

from aiohttp import web

from async_storages import (
    Content,
    FileNotFoundException,
    InvalidArgumentException,
    OperationNotSupportedException,
    Storage,
    StorageException,
)
from async_storages.content import check_metadata
from async_storages.ids import FASTDFS, FileId
from async_storages.models import FileBasicInfo
from async_storages.naming import original_filename
from async_storages.signing import check_expires_in
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import FileName
from async_storages.storage.byte_ranges import byte_range
from async_storages.testing import StorageContract

SECRET = "a secret of the tests"
TOKEN_TTL = 900

_ID = re.compile(r"group1/M00/00/00/[A-Za-z0-9_-]{27}(?=.{7}\Z)[0-9]*(\.[A-Za-z0-9_-]{1,6})?")
_EXTENSION = re.compile(r"\.[A-Za-z0-9_-]{1,6}")


class ChosenIdsStorage(Storage):
    """Keeps files in a dict, under ids that FastDFS could have chosen: see `async_storages.fastdfs_ids`.

    Args:
        base_url: Where its files are served, if they are.
    """

    scheme = FASTDFS
    chooses_ids = True

    def __init__(self, base_url: str | None = None) -> None:
        super().__init__()
        self.location = token_hex(8)
        self._base_url = base_url
        self._files: dict[str, tuple[bytes, FileBasicInfo]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self._files)} files>"

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        with self.operation("write", key) as operation:
            data = b"".join([chunk async for chunk in content])
            operation.bytes = len(data)
            return self._put(
                self._choose(str(key), data), data, str(key), await content.content_type(), content.metadata
            )

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        with self.operation("stream", name) as operation:
            data, _ = self._get(operation.file)
            positions = byte_range(len(data), offset, length, chunk_size)
            for start in positions:
                chunk = data[start : min(start + chunk_size, positions.stop)]
                operation.bytes += len(chunk)
                yield chunk

    async def stat(self, name: FileName) -> FileBasicInfo:
        with self.operation("stat", name) as operation:
            return self._get(operation.file)[1].model_copy(deep=True)

    async def delete(self, name: FileName) -> None:
        with self.operation("delete", name) as operation:
            self._files.pop(operation.file.key, None)

    async def url(self, name: FileName) -> str:
        with self.operation("url", name) as operation:
            return f"{self._base_url or 'http://fastdfs.invalid'}/{operation.file}"

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        with self.operation("set_metadata", name) as operation:
            data, info = self._get(operation.file)
            self._files[operation.file.key] = data, info.model_copy(update={"metadata": check_metadata(metadata)})

    def presign(self, name: FileName, expires_in: float = 3600, method: str = "GET", **options: Any) -> str:
        with self.operation("presign", name) as operation:
            ends_at = check_expires_in(expires_in, options.pop("stable", None))
            if self._base_url is None or method != "GET" or any(value is not None for value in options.values()):
                raise OperationNotSupportedException("a token says no more than which file until when")
            made = int(ends_at.timestamp() - TOKEN_TTL)
            return f"{self._base_url}/{operation.file}?token={_token(operation.file.key, str(made))}&ts={made}"

    def presign_many(self, names: Iterable[FileName], expires_in: float = 3600, **options: Any) -> list[str]:
        return [self.presign(name, expires_in, **options) for name in names]

    def check_key(self, file_id: FileId) -> None:
        if not _ID.fullmatch(file_id.key):
            raise InvalidArgumentException("not a well-formed id", file_id=str(file_id))

    def _choose(self, name: str, data: bytes) -> str:
        """A new id for content of this name."""
        suffix = PurePosixPath(name).suffix
        tail = (suffix if _EXTENSION.fullmatch(suffix) else "").rjust(7, "0")
        masked_size = 1 << 63 | randbits(23) << 32 | len(data)
        fields = struct.pack(">4sIQI", token_bytes(4), int(time.time()), masked_size, crc32(data))
        return f"group1/M00/00/00/{urlsafe_b64encode(fields).decode().rstrip('=')}{tail}"

    def _put(self, key: str, data: bytes, name: str, content_type: str | None, metadata: dict[str, str]) -> str:
        info = FileBasicInfo(
            file_id=key,
            file_name=original_filename(name),
            file_size=len(data),
            last_modify_time=datetime.now(UTC),
            metadata=metadata,
            content_type=content_type,
            etag=f"{crc32(data):08x}",
        )
        self._files[key] = data, info
        return key

    def _get(self, file_id: FileId) -> tuple[bytes, FileBasicInfo]:
        try:
            return self._files[file_id.key]
        except KeyError:
            raise FileNotFoundException("no such file", file_id=str(file_id)) from None


class ChosenIdsContract(StorageContract):
    """Nobody can list its files, so whatever it holds is told here."""

    async def leftovers(self, storage: Any) -> list[str]:
        return list(storage._files)


@asynccontextmanager
async def served[S: ChosenIdsStorage](make: type[S]) -> AsyncIterator[S]:
    """A storage whose presigned URLs work."""
    async with token_server() as server, make(server.url) as server.storage:
        yield server.storage


@asynccontextmanager
async def token_server() -> AsyncIterator["TokenServer"]:
    """An HTTP server on a free port of 127.0.0.1, stopped at the end."""
    server = TokenServer()
    app = web.Application()
    app.router.add_get("/{key:.*}", server.get)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


class TokenServer:
    """Gives the files of `storage` to whoever has a good token, as nginx with FastDFS's module does."""

    url: str
    storage: Any

    async def get(self, request: web.Request) -> web.Response:
        key, made = request.match_info["key"], request.query.get("ts", "")
        if request.query.get("token") != _token(key, made):
            return web.Response(status=400)
        if time.time() - int(made) > TOKEN_TTL:
            return web.Response(status=403)
        name = request.query.get("filename")
        headers = {} if name is None else {"Content-Disposition": f"attachment; filename={name}"}
        try:
            return web.Response(body=await self.storage.read(key), headers=headers)
        except StorageException as error:
            return web.Response(status=error.http_status)


def _token(key: str, made: str) -> str:
    """FastDFS's anti-leech token, which does not cover the group."""
    return md5(f"{key.partition('/')[2]}{SECRET}{made}".encode(), usedforsecurity=False).hexdigest()
