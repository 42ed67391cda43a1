"""Upload, download, delete and info by file id, over whatever storages a `Door` leads to."""

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
"""The metadata key of the name that a file was uploaded under, percent-encoded."""

_OLD_NAME = "--real-file-name--"
"""The same, as s3py-helper wrote it."""


type OnError = Literal["abort", "list"]


class Door(Protocol):
    """The storages that a service works on, and the way that ids are written there."""

    def storage_for_new(self, bucket: str | None) -> Storage:
        """The storage that a new file goes to."""
        ...

    def storage_for(self, file_id: str) -> Storage:
        """The storage of a file."""
        ...

    def fusion_id(self, file_id: str) -> str:
        """The fusion id of an id as it is written here."""
        ...

    def shown_id(self, fusion_id: str) -> str:
        """A fusion id as it is written here."""
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
        door: Where they go.
        validator: What is let in; None for everything.
        concurrency: Files that `upload_files` uploads at once, at least 1.
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
        """Store what a binary file or an (async) iterable gives, without ever holding all of it.

        Args:
            file_name: Any name, however hostile; it is cleaned, kept as metadata, and becomes part of the key.
            stream: See `async_storages.sources`. A file is read from where it stands, and stays open.
            size: The size in bytes, if known; more or less is an error.
            folder: The folder of the key; of no effect on FastDFS.
            bucket: Another bucket than the default one; of no effect on FastDFS.
            metadata: The user's key-value pairs; ``original-name`` is not free.

        Returns:
            The id, and the cleaned name.

        Raises:
            InvalidFileTypeException: The name or the content is of a type that is not allowed.
            FileTooLargeException: It is larger than allowed; nothing is left of it.
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
        """Store an `UploadFile` of Starlette, FastAPI or Litestar, whole: see `upload_stream`.

        Args:
            file: It stays open.
            folder: As for `upload_stream`.
            bucket: As for `upload_stream`.
            metadata: As for `upload_stream`.
            rewind: Whether to begin at its beginning, wherever it stands, also if it is another kind of file.

        Returns:
            The id, and the cleaned name; None for an empty ``<input type=file>``.
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
        """Store several uploads, all or none of them.

        Returns:
            The ids, in the order of the files; none for an empty ``<input type=file multiple>``.

        Raises:
            StorageException: The first failure; it, or a note on it, names the file. Those that were stored by then
                are deleted, and all files are put back where they stood.
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
    """The metadata of an upload, with its name: percent-encoded, as it travels in a header."""
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
    """Reads files, one or many in an archive."""

    async def download_bytes(self, file_id: str) -> bytes:
        """The whole file in memory; raises FileNotFoundException if it is missing."""
        return await self._file(file_id).read()

    async def download_to_stream(self, file_id: str, out: Target) -> int:
        """Write a file to an open binary file, or to a path (complete or not at all); returns the bytes written."""
        return await self._file(file_id).download_to(out)

    def download_to_generator(self, file_id: str, chunk_size: int = CHUNK_SIZE) -> AsyncGenerator[bytes]:
        """The bytes of a file as they come, in chunks of at most `chunk_size`; close it when leaving early."""
        return self._file(file_id).stream(chunk_size=chunk_size)

    async def download_files_as_zip(
        self, files: Iterable[FileDownload], out: Target, *, on_error: OnError = "abort", compress: bool = False
    ) -> int:
        """Write several files as one archive: see `stream_zip`; returns the bytes written."""
        return await write_to(self.stream_zip(files, on_error=on_error, compress=compress), out)

    def stream_zip(
        self, files: Iterable[FileDownload], *, on_error: OnError = "abort", compress: bool = False
    ) -> AsyncGenerator[bytes]:
        """An archive of several files, from whichever storages, as it is made; close it when leaving early.

        Args:
            files: The files, with the name that each is to have there; by default that in its id.
            on_error: What a missing or failing file does: see `async_storages.stream_zip`.
            compress: Whether they are deflated.

        Raises:
            RouteNotSupportedException: A file is in a storage or bucket that is not served; at once.
            StorageException: A file is missing or fails, while the archive is made.
        """
        return stream_zip(
            [_entry(file, self._file(file.file_id), compress=compress) for file in files], on_error=on_error
        )

    async def prepare_zip(
        self, files: Iterable[FileDownload], *, on_error: OnError = "abort", concurrency: int = 32
    ) -> "ZipDownload":
        """An archive whose length is known before it is made, for Content-Length: asks for the size of each file.

        Args:
            files: As for `stream_zip`.
            on_error: As for `stream_zip`; if a file that is to be listed is missing, the length is not known.
            concurrency: Questions under way at once, at least 1.

        Raises:
            FileNotFoundException: A file is missing, and errors abort.
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
    """An entry of an archive for a file; sizes that ids tell are not asked for."""
    name, size = wanted.file_name or file.filename, file.known_size if size is None else size
    return ZipEntry(name, file.stream, size, modified, compress, file.known_crc32)


@dataclass(frozen=True, slots=True)
class ZipDownload:
    """An archive that is going to be made.

    Attributes:
        entries: Its files.
        size: Its length in bytes; None if it is not known. It does not hold if a file fails meanwhile and is listed.
        on_error: What a file does that is missing or fails meanwhile.
    """

    entries: tuple[ZipEntry, ...]
    size: int | None
    on_error: OnError = "abort"

    def stream(self) -> AsyncGenerator[bytes]:
        """Its bytes; close it when leaving early."""
        return stream_zip(self.entries, on_error=self.on_error)


class DeleteService(_Service):
    """Removes files."""

    async def delete_file(self, file_id: str) -> None:
        """Delete a file; a missing one is not an error."""
        await self._file(file_id).delete()

    async def delete_files(self, file_ids: Iterable[str]) -> None:
        """Delete several files, in as few requests as their storages allow.

        Raises:
            StorageException: The first failure, after every file was tried; ids that are not served, before any is.
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
    """Tells of files."""

    async def get_file_info(self, file_id: str) -> FileBasicInfo:
        """Size, type, times, metadata, and the name it was uploaded under.

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
