# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What mypy and pyright infer of storages, and which of them can do what."""

from collections.abc import AsyncGenerator, AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import assert_type

import pytest
from fastapi import FastAPI, UploadFile

from async_storages import (
    FastDFSStorage,
    FileAttach,
    FileBasicInfo,
    FileId,
    GCSStorage,
    LocalStorage,
    MemoryStorage,
    PendingFile,
    S3Storage,
    Storage,
    StorageManager,
    StoredFile,
    SupportsCopy,
    SupportsDirectUpload,
    SupportsList,
    SupportsMetadata,
    SupportsPing,
    SupportsPresign,
    prefetch,
    registry,
)
from async_storages.integrations.fastapi import storage_lifespan
from async_storages.testing import StorageContract


def powers(s3: S3Storage, gcs: GCSStorage, local: LocalStorage, fastdfs: FastDFSStorage, memory: MemoryStorage) -> None:
    storages: list[Storage] = [s3, gcs, local, fastdfs, memory]
    presigning: list[SupportsPresign] = [s3, gcs, local, fastdfs]
    direct: list[SupportsDirectUpload] = [s3, gcs, local]
    listing: list[SupportsList] = [s3, gcs, local, memory]
    copying: list[SupportsCopy] = [s3, gcs, local, memory]
    describing: list[SupportsMetadata] = [s3, gcs, local, fastdfs, memory]
    answering: list[SupportsPing] = [s3, gcs, fastdfs]
    print(storages, presigning, direct, listing, copying, describing, answering)  # noqa: T201
    memory.presign("a.txt")  # type: ignore[attr-defined]


async def contents(storage: Storage, upload: UploadFile, chunks: AsyncIterator[bytes]) -> None:
    for content in (b"", bytearray(), Path("a.txt"), BytesIO(), upload, chunks, [b""], PendingFile(b"", "a.txt")):
        assert_type(await storage.upload(content, "a.txt", overwrite=False, max_size=10), str)
    assert_type(await storage.save(b"", folder="reports", metadata={"by": "me"}), StoredFile)
    await storage.save("text", "a.txt")  # type: ignore[arg-type]  # text has no bytes before it is encoded
    await storage.save(b"", "a.txt", max_sizes=10)  # type: ignore[call-overload]


async def files(storage: Storage, file: StoredFile) -> None:
    for name in ("a.txt", FileId("mem", None, "a.txt"), file):
        assert_type(await storage.info(name), FileBasicInfo)
        assert_type(storage.stream(name, 0, 10), AsyncGenerator[bytes])
    await storage.read(7)  # type: ignore[arg-type]
    assert_type(await file.get_presigned_url(60, "PUT", content_type="image/png"), str)
    await file.get_presigned_url(60, "PATCH")  # type: ignore[arg-type]
    assert_type(file.known_size, int | None)
    await prefetch([file, None], "info", "dimensions", concurrency=8)
    await prefetch([file], "size")  # type: ignore[arg-type]


async def managers(manager: StorageManager, upload: UploadFile) -> None:
    assert_type(await manager.upload_service.upload_file(upload), FileAttach | None)
    assert_type(manager.storage_for("s3:photos/a.png"), Storage)
    with registry.override("default", MemoryStorage()) as storage:
        assert_type(storage, MemoryStorage)
    registry.register("photos", manager)


class TestMine(StorageContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()


def an_application(manager: StorageManager) -> FastAPI:
    return FastAPI(lifespan=storage_lifespan(manager))
