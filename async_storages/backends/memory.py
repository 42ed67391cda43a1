"""Files in memory, for tests and as a short example of a complete storage."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import UTC, datetime
from itertools import count
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from async_storages.content import Content, check_metadata
from async_storages.errors import FileExistsException, FileNotFoundException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.naming import original_filename
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import FileName
from async_storages.storage.byte_ranges import byte_range
from async_storages.storage.folders import FolderStorage
from async_storages.upload_options import SERVED

__all__ = ["MemoryStorage"]


class MemoryStorage(FolderStorage):
    """Keeps files in a dict, as long as the storage object exists. Ids are ``mem:key``.

    Args:
        name: The registered name of the storage.
        read_only: True refuses every write and delete.
    """

    scheme = "mem"
    able_options = SERVED

    def __init__(self, *, name: str | None = None, read_only: bool = False) -> None:
        super().__init__(name=name, read_only=read_only)
        self.location = token_hex(8)  # a pickled file is never looked for in another storage
        self._files: dict[str, tuple[bytes, FileBasicInfo]] = {}
        self._versions = count(1)

    def __repr__(self) -> str:
        return f"<MemoryStorage, {len(self._files)} files>"

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content under the key: see `Storage.write`."""
        with self.operation("write", key) as operation:
            served = self.options_for(content).said
            data = b"".join([chunk async for chunk in content])
            operation.bytes = len(data)
            described = {"content_type": await content.content_type(), "metadata": content.metadata, **served}
            return self._put(operation.file, data, described, overwrite=overwrite)

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file, or of a range of it: see `Storage.stream`."""
        with self.operation("stream", name) as operation:
            data, _ = self._get(operation.file)
            positions = byte_range(len(data), offset, length, chunk_size)
            for start in positions:
                chunk = data[start : min(start + chunk_size, positions.stop)]
                operation.bytes += len(chunk)
                yield chunk

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Return size, type, etag, time and metadata: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return self._get(operation.file)[1].model_copy(deep=True)

    async def delete(self, name: FileName) -> None:
        """Delete a file. It is not an error if the file does not exist."""
        with self.operation("delete", name) as operation:
            self._files.pop(operation.file.key, None)

    async def url(self, name: FileName) -> str:
        """Return ``mem:`` and the percent-encoded key. No server serves this URI."""
        with self.operation("url", name) as operation:
            return f"mem:{quote(operation.file.key)}"

    async def list(self, prefix: str = "") -> AsyncIterator[FileBasicInfo]:
        """Yield the files whose key begins with `prefix`, sorted by key: see `SupportsList`."""
        with self.operation("list"):
            for key, (_, info) in sorted(self._files.items()):
                if key.startswith(self.prefix + prefix):
                    yield info.model_copy(deep=True)

    async def copy(self, source: FileName, target: FileName, *, overwrite: bool = True) -> str:
        """Copy a file with its type and metadata: see `SupportsCopy`."""
        with self.operation("copy", target) as operation:
            data, info = self._get(self.identify(source))
            operation.bytes = len(data)
            described = info.model_dump(include={"content_type", "metadata", *SERVED})
            return self._put(operation.file, data, described, overwrite=overwrite)

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata: see `SupportsMetadata`."""
        with self.operation("set_metadata", name) as operation:
            data, info = self._get(operation.file)
            self._files[operation.file.key] = data, info.model_copy(update={"metadata": check_metadata(metadata)})

    def _get(self, file_id: FileId) -> tuple[bytes, FileBasicInfo]:
        try:
            return self._files[file_id.key]
        except KeyError:
            raise FileNotFoundException("no such file", file_id=str(file_id)) from None

    def _put(self, file_id: FileId, data: bytes, described: Mapping[str, Any], *, overwrite: bool) -> str:
        if not overwrite and file_id.key in self._files:
            raise FileExistsException("the key is taken", file_id=str(file_id))
        info = FileBasicInfo(
            file_id=str(file_id),
            file_name=original_filename(file_id.key),
            file_size=len(data),
            last_modify_time=datetime.now(UTC),
            etag=f"{next(self._versions):x}",
            **described,
        )
        self._files[file_id.key] = data, info
        return str(file_id)
