"""Copy one file: from a path, an id or standard input to a path, an id or standard output."""

import os
import stat
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from async_storages import naming
from async_storages._tasks import offload
from async_storages.cli.part_files import new_file
from async_storages.cli.places import LocalPath, Place, StoredPlace, Stream
from async_storages.cli.printing import write_chunk
from async_storages.cli.standard_input import read_chunks
from async_storages.content import Content
from async_storages.errors import (
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    during,
)
from async_storages.models import FileBasicInfo
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsCopy
from async_storages.upload_options import SERVED, UploadOptions

__all__ = ["Copied", "OnBytes", "check_local_file", "complete_target", "copy_file", "version_of"]

type OnBytes = Callable[[int], object]
"""Told of the bytes that have passed since the last time."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that was copied.

    Attributes:
        source: The id or path of the file.
        target: The id or path of the copy.
        size: The size in bytes.
        version: The version of the copied file, as `version_of` returns it. None if it is not known.
    """

    source: str
    target: str
    size: int
    version: str | None = None


async def copy_file(source: Place, target: Place, *, force: bool, on_bytes: OnBytes = lambda _: None) -> Copied:
    """Copy a file completely or not at all, with its type and metadata. Check the size of the copy afterwards.

    Args:
        source: The file.
        target: The exact place of the copy: see `complete_target`.
        force: True replaces an existing file.
        on_bytes: Called with the number of bytes copied so far.

    Raises:
        FileExistsException: The target exists, and `force` is False.
        ChecksumMismatchException: The copy has another size than the file.
        StorageException: As for `Storage.stream` and `Storage.write`.
    """
    match source, target:
        case StoredPlace(), StoredPlace():
            return await _between(source, target, force=force, on_bytes=on_bytes)
        case StoredPlace(), LocalPath():
            return await _download(source, target.path, force=force, on_bytes=on_bytes)
        case StoredPlace(), Stream():
            return await _print(source, on_bytes)
        case LocalPath(), StoredPlace():
            found = await offload(check_local_file, source.path)
            content = Content(source.path, filename=source.path.name, size=found.st_size, **_counted(on_bytes))
            return replace(await _upload(str(source), content, target, force=force), version=_local_version(found))
        case Stream(), StoredPlace():
            name = PurePosixPath(target.key).name or "file"
            return await _upload("-", Content(read_chunks(), filename=name, **_counted(on_bytes)), target, force=force)
    raise InvalidArgumentException(
        f"{source} and {target}: one of the two must be a stored file, such as s3:bucket/key"
    )


async def complete_target(source: Place, target: Place) -> Place:
    """Return the exact place of a copy. If the target is a folder, append the name of the source.

    Raises:
        InvalidArgumentException: Standard input has no name.
    """
    is_folder = (
        await offload(target.path.is_dir) or target.is_folder
        if isinstance(target, LocalPath)
        else isinstance(target, StoredPlace) and target.is_folder and not target.storage.chooses_ids
    )
    if not is_folder:
        return target
    if isinstance(source, Stream):
        raise InvalidArgumentException(f"{target} is a folder, and what comes from - has no name: write the whole one")
    name = await _name_of(source)
    if isinstance(target, LocalPath):
        return LocalPath(target.path / name, is_folder=False)
    return replace(target, key=f"{target.key}{name}") if isinstance(target, StoredPlace) else target


async def _name_of(source: LocalPath | StoredPlace) -> str:
    if isinstance(source, LocalPath):
        return source.path.name
    if source.storage.chooses_ids:  # its ids are no names for people
        return naming.clean_filename((await source.storage.stat(source.file())).file_name)
    return source.key.rpartition("/")[2]


def check_local_file(path: Path) -> os.stat_result:
    """Require that a path is a file, and return its facts. Blocks.

    Raises:
        FileNotFoundException: There is nothing at the path.
        InvalidArgumentException: The path is a folder, a device or a pipe.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise FileNotFoundException("there is no such file", operation="copy", file_id=str(path)) from None
    except OSError as error:
        raise InvalidArgumentException(f"{error.strerror}", operation="copy", file_id=str(path)) from error
    if stat.S_ISDIR(found.st_mode):
        raise InvalidArgumentException("it is a folder: say --recursive", operation="copy", file_id=str(path))
    if not stat.S_ISREG(found.st_mode):
        raise InvalidArgumentException("it is no regular file", operation="copy", file_id=str(path))
    return found


async def version_of(place: LocalPath | StoredPlace) -> str | None:
    """Return the version of a file, which changes when the content changes. None if it is not known.

    Raises:
        FileNotFoundException: There is no such file.
    """
    if isinstance(place, StoredPlace):
        return (await place.storage.stat(place.file())).etag
    return _local_version(await offload(check_local_file, place.path))


def _local_version(found: os.stat_result) -> str:
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


# ---- the ways


async def _upload(shown: str, content: Content, target: StoredPlace, *, force: bool) -> Copied:
    storage = target.storage
    async with content:
        name = naming.clean_filename(content.filename or "file") if storage.chooses_ids else target.file()
        with during("copy", shown):
            try:
                written = await storage.write(content, name, overwrite=force)
            except FileExistsException as error:
                raise _taken(str(target)) from error
    return await _verified(shown, storage, written, content.size or 0)


async def _verified(shown: str, storage: Storage, written: str, size: int) -> Copied:
    """Return the copy, if it has the size of the file."""
    found = (await storage.stat(written)).file_size
    if found != size:
        raise ChecksumMismatchException(
            f"the copy {written} has {found} bytes, and the file {size}", operation="copy", file_id=shown
        )
    return Copied(shown, written, size)


async def _between(source: StoredPlace, target: StoredPlace, *, force: bool, on_bytes: OnBytes) -> Copied:
    if source == target:
        raise InvalidArgumentException("source and target are the same file", operation="copy", file_id=str(source))
    storage = source.storage
    info = await storage.stat(source.file())
    if storage is target.storage and isinstance(storage, SupportsCopy):
        try:
            written = await storage.copy(source.file(), target.file(), overwrite=force)
        except FileExistsException as error:
            raise _taken(str(target)) from error
        on_bytes(info.file_size)
        return replace(await _verified(str(source), storage, written, info.file_size), version=info.etag)
    content = Content(
        storage.stream(source.file()),
        filename=info.file_name,
        content_type=info.content_type,
        metadata=info.metadata,
        size=info.file_size,
        options=_options_of(info, target.storage),
        **_counted(on_bytes),
    )
    return replace(await _upload(str(source), content, target, force=force), version=info.etag)


def _options_of(info: FileBasicInfo, target: Storage) -> UploadOptions:
    """Return the headers that a file is served with, as far as the target storage can keep them."""
    kept = {name: getattr(info, name) for name in SERVED if name in target.able_options}
    return UploadOptions(**{name: value for name, value in kept.items() if value is not None})


async def _download(source: StoredPlace, path: Path, *, force: bool, on_bytes: OnBytes) -> Copied:
    info = await source.storage.stat(source.file())
    passed = 0
    async with new_file(path, force=force) as part, aclosing(source.storage.stream(source.file())) as chunks:
        async for chunk in chunks:
            await offload(part.write, chunk)
            passed += len(chunk)
            on_bytes(len(chunk))
        if passed != info.file_size:
            raise ChecksumMismatchException(
                f"{passed} bytes came, and the file has {info.file_size}", operation="copy", file_id=str(source)
            )
    return Copied(str(source), str(path), passed, info.etag)


async def _print(source: StoredPlace, on_bytes: OnBytes) -> Copied:
    passed = 0
    async with aclosing(source.storage.stream(source.file())) as chunks:
        async for chunk in chunks:
            write_chunk(chunk)
            passed += len(chunk)
            on_bytes(len(chunk))
    return Copied(str(source), "-", passed)


def _counted(on_bytes: OnBytes) -> dict[str, Any]:
    """Return the option of `Content` that reports bytes."""
    before = 0

    def tell(passed: int, _size: int | None) -> None:
        nonlocal before
        on_bytes(passed - before)
        before = passed

    return {"on_progress": tell}


def _taken(target: str) -> FileExistsException:
    return FileExistsException("there is a file already; --force replaces it", operation="copy", file_id=target)
