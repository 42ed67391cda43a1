# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What mypy and pyright infer of stored content: only an upload may turn out to be none."""

from collections.abc import AsyncGenerator, Generator
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import Any, BinaryIO, assert_type

from starlette.datastructures import UploadFile

from async_storages import Content, MemoryStorage, PendingFile, StoredFile
from async_storages.backends.fastdfs.storage import FastDFSStorage
from async_storages.integrations.sqlalchemy import FileLedger
from async_storages.manager.services import UploadService
from async_storages.models import FileAttach
from async_storages.storage.base import Storage


async def save(storage: Storage, upload: UploadFile, binary: BinaryIO, anything: Any) -> None:
    assert_type(await storage.save(b"..."), StoredFile)
    assert_type(await storage.save(bytearray(), "a.txt"), StoredFile)
    assert_type(await storage.save(Path("a.txt"), folder="a"), StoredFile)
    assert_type(await storage.save(BytesIO(), content_type="text/plain"), StoredFile)
    assert_type(await storage.save(binary), StoredFile)
    with SpooledTemporaryFile() as spooled, NamedTemporaryFile() as named:
        assert_type(await storage.save(spooled), StoredFile)
        assert_type(await storage.save(named), StoredFile)
    assert_type(await storage.save([b"a", b"b"]), StoredFile)
    assert_type(await storage.save(iter([b"a"])), StoredFile)
    assert_type(await storage.save(PendingFile(b"...")), StoredFile)
    assert_type(await storage.save(Content(b"...")), StoredFile)
    assert_type(await storage.save(upload), StoredFile | None)
    assert_type(await storage.save(upload, "a.txt", folder="a"), StoredFile | None)
    await storage.save("a.txt")  # type: ignore[arg-type]  # text or a path?


async def save_generated(storage: Storage, sync: Generator[bytes], stream: AsyncGenerator[bytes]) -> None:
    assert_type(await storage.save(sync), StoredFile)
    assert_type(await storage.save(stream), StoredFile)


async def save_elsewhere(
    memory: MemoryStorage, fastdfs: FastDFSStorage, ledger: FileLedger, upload: UploadFile
) -> None:
    assert_type(await memory.save(b"..."), StoredFile)
    assert_type(await memory.save(upload), StoredFile | None)
    assert_type(await fastdfs.save(b"...", store_name=False), StoredFile)
    assert_type(await fastdfs.save(upload, store_name=False), StoredFile | None)
    assert_type(await ledger.save(memory, b"..."), StoredFile)
    assert_type(await ledger.save(memory, upload), StoredFile | None)


async def services(uploads: UploadService, upload: UploadFile) -> None:
    assert_type(await uploads.upload_file(upload), FileAttach | None)
    assert_type(await uploads.upload_files([upload]), list[FileAttach])
    assert_type(await uploads.upload_bytes("a.txt", b"..."), FileAttach)
