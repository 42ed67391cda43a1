"""Upload, download, delete and info by file id, for all storages of a `Door`."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Literal, Protocol
from urllib.parse import quote, unquote

from async_storages import naming
from async_storages._cleanup import UNDO_WITHIN, clean_up
from async_storages._tasks import map_bounded, offload
from async_storages.errors import InvalidArgumentException, StorageException, during
from async_storages.files import StoredFile
from async_storages.models import FileAttach, FileBasicInfo, FileDownload
from async_storages.registry import StorageAddress
from async_storages.sinks import Target, write_to
from async_storages.sources import CHUNK_SIZE, ByteSource, Source, is_empty_input, open_source
from async_storages.storage.base import Storage
from async_storages.validation import FileValidator
from async_storages.zipping import ZipEntry, stream_zip, zip_size

__all__ = ["DeleteService", "Door", "DownloadService", "InfoService", "UploadService", "ZipDownload"]

_NAME = "original-name"
"""The metadata key of the uploaded name, which is percent-encoded."""

_OLD_NAME = "--real-file-name--"
"""The metadata key of the uploaded name in s3py-helper."""


type OnError = Literal["abort", "list"]


class Door(Protocol):
    """Finds storages for a service, and converts ids.

    A raw client writes S3 ids without ``s3:``. A manager uses fusion ids.
    """

    def storage_for_new(self, bucket: str | None) -> Storage:
        """Return the storage for a new file."""
        ...

    def storage_for(self, file_id: str) -> Storage:
        """Return the storage of a file."""
        ...

    def fusion_id(self, file_id: str) -> str:
        """Return the fusion id of an id in this door's form."""
        ...

    def shown_id(self, fusion_id: str) -> str:
        """Return this door's form of a fusion id."""
        ...


class _Service:
    def __init__(self, door: Door) -> None:
        self._door = door

    def _file(self, file_id: str) -> StoredFile:
        fusion_id = self._door.fusion_id(file_id)
        return StoredFile(fusion_id, self._door.storage_for(fusion_id))


class UploadService(_Service):
    """Stores new files under generated ids.

    Args:
        door: Finds the storage of a file: a `StorageManager`, or a raw client.
        validator: Checks each upload. None accepts every upload.
        concurrency: The number of files that `upload_files` uploads at once, at least 1.
    """

    def __init__(self, door: Door, validator: FileValidator | None = None, *, concurrency: int = 4) -> None:
        super().__init__(door)
        if not isinstance(concurrency, int) or concurrency < 1:
            raise InvalidArgumentException(f"the concurrency must be at least 1, not {concurrency!r}")
        self._validator = validator or FileValidator()
        self._concurrency = concurrency

    async def upload_bytes(
        self,
        file_name: str,
        content: bytes,
        *,
        folder: str | None = None,
        bucket: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> FileAttach:
        """Store bytes: see `upload_stream`."""
        return await self.upload_stream(file_name, content, folder=folder, bucket=bucket, metadata=metadata)

    async def upload_stream(
        self,
        file_name: str,
        stream: Source | ByteSource | BinaryIO | AsyncIterable[bytes],
        size: int | None = None,
        *,
        folder: str | None = None,
        bucket: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> FileAttach:
        """Store a binary file or an (async) iterable of bytes, without holding all of it in memory.

        Args:
            file_name: The name, from any user. The service cleans it, keeps it as metadata, and makes it part of the
                key.
            stream: The content: see `async_storages.sources`. A file is read from its current position, and stays open.
            size: The size in bytes, if known. Another number of bytes is an error.
            folder: The folder of the key. It has no effect on FastDFS.
            bucket: The bucket. None is the default one. It has no effect on FastDFS.
            metadata: The user's key-value pairs. The key ``original-name`` is reserved.

        Returns:
            The id and the cleaned name.

        Raises:
            InvalidFileTypeException: The type of the name or the content is not allowed.
            FileTooLargeException: The file is larger than allowed. No part of it stays stored.
            RouteNotSupportedException: The bucket is not allowed.
            StorageException: As for `Storage.save`.
        """
        with during("upload", file_name):
            storage = self._door.storage_for_new(bucket)
            shown = self._validator.check_name(file_name)
            described = _described(metadata, shown, storage)
            async with self._validator.open(stream, shown, size=size, metadata=described) as content:
                stored = await storage.save(content, shown, folder=folder or "")
            return _attach(stored, shown, self._door)

    async def upload_file(
        self,
        file: Any,
        *,
        folder: str | None = None,
        bucket: str | None = None,
        metadata: Mapping[str, str] | None = None,
        rewind: bool = False,
    ) -> FileAttach | None:
        """Store a whole `UploadFile` of Starlette, FastAPI or Litestar: see `upload_stream`.

        Args:
            file: The upload. It stays open.
            folder: As for `upload_stream`.
            bucket: As for `upload_stream`.
            metadata: As for `upload_stream`.
            rewind: True moves an open file to its beginning first. An upload is read from its beginning in any case.

        Returns:
            The id and the cleaned name. None for an empty ``<input type=file>``.
        """
        if is_empty_input(file):
            return None
        name = getattr(file, "filename", None) or "file"
        if rewind:
            try:
                await file.seek(0)
            except ValueError as error:
                raise InvalidArgumentException(f"cannot rewind: {error}", operation="upload", file_id=name) from error
        return await self.upload_stream(name, file, folder=folder, bucket=bucket, metadata=metadata)

    async def upload_files(
        self,
        files: Sequence[Any],
        *,
        folder: str | None = None,
        bucket: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> list[FileAttach]:
        """Store all of several uploads, or none of them.

        Returns:
            The ids and cleaned names, in the order of the files. Empty for an empty ``<input type=file multiple>``.

        Raises:
            StorageException: An upload failed. The error, or a note on it, names the file. The service deletes the
                files that are stored already, and moves all uploads back to their positions.
        """
        opened: list[ByteSource] = []
        stored: list[FileAttach] = []

        async def upload(file: Any) -> FileAttach:
            name = getattr(file, "filename", None)
            try:
                opened.append(source := open_source(file))
                attach = await self.upload_stream(
                    name or "file", source, folder=folder, bucket=bucket, metadata=metadata
                )
            except Exception as error:
                error.add_note(f"while uploading {name!r}")
                raise
            stored.append(attach)
            return attach

        try:
            chosen = [file for file in files if not is_empty_input(file)]
            return await map_bounded(upload, chosen, limit=self._concurrency)
        except BaseException as error:
            await _undo(DeleteService(self._door), stored, error)
            for source in opened:
                await source.put_back()
            raise


def _described(metadata: Mapping[str, str] | None, file_name: str, storage: Storage) -> dict[str, str]:
    """Return the metadata of an upload with its name, which is percent-encoded for headers."""
    described = dict(metadata or {})
    if _NAME in {str(key).lower() for key in described}:
        raise InvalidArgumentException(f"the metadata key {_NAME!r} is taken: it keeps the file's name")
    return described if storage.chooses_ids else {**described, _NAME: quote(file_name)}  # those keep it by themselves


def _attach(stored: StoredFile, file_name: str, door: Door) -> FileAttach:
    attach = FileAttach(file_id=door.shown_id(stored.file_id), file_name=file_name)
    if attach.file_id != stored.file_id:
        attach._fusion_id = stored.file_id  # noqa: SLF001 - of no concern to whoever reads the model
    return attach


async def _undo(deletes: "DeleteService", stored: Iterable[FileAttach], error: BaseException) -> None:
    await clean_up(deletes.delete_files([attach.file_id for attach in stored]), error, within=UNDO_WITHIN)


class DownloadService(_Service):
    """Reads single files, and many files as an archive."""

    async def download_bytes(self, file_id: str) -> bytes:
        """Return the content of a whole file.

        Raises:
            FileNotFoundException: The file is missing.
        """
        return await self._file(file_id).read()

    async def download_to_stream(self, file_id: str, out: Target) -> int:
        """Write a file to an open binary file or to a path. Return the number of bytes.

        A file at a path is written completely or not at all.
        """
        return await self._file(file_id).download_to(out)

    def download_to_generator(self, file_id: str, chunk_size: int = CHUNK_SIZE) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file, in chunks of at most `chunk_size`.

        Close the generator if you stop before its end.
        """
        return self._file(file_id).stream(chunk_size=chunk_size)

    async def download_files_as_zip(
        self, files: Iterable[FileDownload], out: Target, *, on_error: OnError = "abort", compress: bool = False
    ) -> int:
        """Write several files as one archive and return the number of bytes: see `stream_zip`."""
        return await write_to(self.stream_zip(files, on_error=on_error, compress=compress), out)

    def stream_zip(
        self, files: Iterable[FileDownload], *, on_error: OnError = "abort", compress: bool = False
    ) -> AsyncGenerator[bytes]:
        """Yield an archive of several files, from any of the storages, while it is made.

        Close the generator if you stop before its end.

        Args:
            files: The files, each with its name in the archive. The default is the name in the id.
            on_error: The treatment of a missing or failing file: see `async_storages.stream_zip`.
            compress: True deflates the files.

        Raises:
            RouteNotSupportedException: A file is in a storage or bucket that is not served. Raised at once.
            StorageException: A file is missing or fails. Raised while the archive is made.
        """
        return stream_zip(
            [_entry(file, self._file(file.file_id), compress=compress) for file in files], on_error=on_error
        )

    async def prepare_zip(
        self, files: Iterable[FileDownload], *, on_error: OnError = "abort", concurrency: int = 32
    ) -> "ZipDownload":
        """Prepare an archive with a known length, for Content-Length. This reads the size of each file.

        Args:
            files: As for `stream_zip`.
            on_error: As for `stream_zip`. With ``"list"``, a missing file makes the length unknown.
            concurrency: The number of sizes to read at once, at least 1.

        Raises:
            FileNotFoundException: A file is missing, with ``on_error="abort"``.
        """

        async def entry_of(wanted: FileDownload) -> ZipEntry:
            file = self._file(wanted.file_id)
            try:
                info = await file.get_info()
            except StorageException:
                if on_error == "abort":
                    raise
                return _entry(wanted, file)
            return _entry(wanted, file, size=info.file_size, modified=info.last_modify_time)

        entries = await map_bounded(entry_of, files, limit=concurrency)
        return ZipDownload(tuple(entries), await offload(zip_size, entries), on_error)


def _entry(
    wanted: FileDownload,
    file: StoredFile,
    *,
    size: int | None = None,
    modified: datetime | None = None,
    compress: bool = False,
) -> ZipEntry:
    """Return the archive entry of a file. If the id holds the size, no request is sent."""
    name, size = wanted.file_name or file.filename, file.known_size if size is None else size
    return ZipEntry(name, file.stream, size, modified, compress, file.known_crc32)


@dataclass(frozen=True, slots=True)
class ZipDownload:
    """A prepared archive.

    Attributes:
        entries: The files.
        size: The length in bytes. None if it is not known. The length is wrong if a file fails later
            and `on_error` is ``"list"``.
        on_error: The treatment of a file that is missing or fails later.
    """

    entries: tuple[ZipEntry, ...]
    size: int | None
    on_error: OnError = "abort"

    def stream(self) -> AsyncGenerator[bytes]:
        """Yield the bytes of the archive.

        Close the generator if you stop before its end.
        """
        return stream_zip(self.entries, on_error=self.on_error)


class DeleteService(_Service):
    """Deletes files."""

    async def delete_file(self, file_id: str) -> None:
        """Delete a file. It is not an error if the file does not exist."""
        await self._file(file_id).delete()

    async def delete_files(self, file_ids: Iterable[str]) -> None:
        """Delete several files, in as few requests as their storages allow.

        Raises:
            RouteNotSupportedException: An id is not served. No file is deleted.
            StorageException: A delete failed. Raised after every file was tried.
        """
        by_storage: dict[StorageAddress, list[StoredFile]] = {}
        for file_id in file_ids:
            file = self._file(file_id)
            by_storage.setdefault(StorageAddress.of(file.storage), []).append(file)
        failures: list[StorageException] = []
        for files in by_storage.values():
            try:
                await files[0].storage.delete_many(files)
            except StorageException as error:
                failures.append(error)
        if failures:
            raise failures[0]


class InfoService(_Service):
    """Describes files."""

    async def get_file_info(self, file_id: str) -> FileBasicInfo:
        """Return the size, type, times, metadata and uploaded name of a file.

        Raises:
            FileNotFoundException: There is no such file.
        """
        info = await self._file(file_id).get_info()
        metadata = dict(info.metadata)
        old = metadata.pop(_OLD_NAME, None)
        original = metadata.pop(_NAME, old)
        name = info.file_name if original is None else naming.clean_filename(unquote(original))
        shown = self._door.shown_id(info.file_id)
        return info.model_copy(update={"file_id": shown, "file_name": name, "metadata": metadata})
