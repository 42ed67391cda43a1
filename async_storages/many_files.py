"""Functions for listings with many files: `file_urls` and `prefetch`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from logging import getLogger
from typing import Any, Literal

from async_storages._tasks import map_bounded
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    OperationNotSupportedException,
    RouteNotSupportedException,
    during,
)
from async_storages.files import StoredFile, StoredImage, link_of, storage_ref_of
from async_storages.registry import StorageAddress
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsPresign

__all__ = ["FileUrls", "file_urls", "prefetch"]

_log = getLogger("async_storages")

_HOLDS_ATTRIBUTES = ("__mapper__", "__pydantic_validator__", "__dataclass_fields__")
"""Attributes by which it recognises classes of SQLAlchemy, pydantic and dataclasses, whose instances it searches."""

_ONE_VALUE = (str, bytes, bytearray, memoryview)
"""Collections that hold no objects."""


class FileUrls(dict[str, str]):
    """A dict of URLs by file id. File objects are keys too, so templates can write ``urls[user.picture]``.

    The dict has no entry for None, nor for a file without a URL.
    """

    def __getitem__(self, file: str | StoredFile | None) -> str:
        return super().__getitem__(_id_of(file))

    def __contains__(self, file: object) -> bool:
        return super().__contains__(_id_of(file))

    def get(self, file: str | StoredFile | None, default: Any = None) -> Any:
        """Return the URL of a file or id, or the default if it has none."""
        return super().get(_id_of(file), default)


def _id_of(file: Any) -> Any:
    return file.file_id if isinstance(file, StoredFile) else file


async def file_urls(
    objects: object,
    *,
    expires_in: float = 3600,
    presign: bool = True,
    stable: timedelta | None = None,
    strict: bool = False,
) -> FileUrls:
    """Return the URLs of all files in rows or models, for templates and as a serialisation context of pydantic.

    It finds files at any depth in collections, values of mappings, mapped objects, pydantic models and dataclasses. It
    loads nothing: it skips deferred and expired attributes, and calls no properties. It presigns all files of a storage
    together. On S3 this makes no request.

    A variant that is made after the upload has the URL of the route that makes it. This URL does not expire.

    Args:
        objects: A file object, an object of these kinds, or an iterable of them. An iterator is used up.
        expires_in: Seconds until presigned URLs expire, 1 to 604,800.
        presign: True presigns. False returns the URLs of `Storage.url`, which may never expire.
        stable: The time window in which the URLs stay the same: see `SupportsPresign.presign`.
        strict: True raises for a file of an unknown storage. False gives it no URL, and the logger ``async_storages``
            logs its id.

    Returns:
        The URLs, by file id or file object.

    Raises:
        OperationNotSupportedException: A storage cannot presign.
        RouteNotSupportedException: No known storage serves an id, and `strict` is True.
        InvalidArgumentException: An id is malformed, two storages have files with the same id, or `expires_in` is out
            of range.

    Example:
        >>> listing = TypeAdapter(list[DocumentOut])
        >>> listing.dump_json(listing.validate_python(rows), context=await file_urls(rows))
    """
    urls = FileUrls()
    with during("file_urls", None):
        for storage, files in _by_storage(_files_in(objects), strict=strict).items():
            links = {file_id: link for file_id, file in files.items() if (link := link_of(file)) is not None}
            urls.update((file_id, link()) for file_id, link in links.items())
            if file_ids := [file_id for file_id in files if file_id not in links]:
                signed = _presigned(storage, file_ids, expires_in, stable) if presign else _public(storage, file_ids)
                urls.update(zip(file_ids, await signed, strict=True))
    return urls


async def _presigned(storage: Storage, file_ids: list[str], expires_in: float, stable: timedelta | None) -> list[str]:
    if not isinstance(storage, SupportsPresign):
        raise OperationNotSupportedException(
            f"{type(storage).__name__} cannot presign URLs; presign=False gives those that it has", file_id=file_ids[0]
        )
    return await storage.presigned_urls(file_ids, expires_in, stable=stable)


async def _public(storage: Storage, file_ids: list[str]) -> list[str]:
    return [await storage.url(file_id) for file_id in file_ids]


def _by_storage(files: Iterable[StoredFile], *, strict: bool) -> dict[Storage, dict[str, StoredFile]]:
    holders: dict[str, Storage] = {}
    grouped: dict[Storage, dict[str, StoredFile]] = {}
    for file in {(file.file_id, id(storage_ref_of(file))): file for file in files}.values():
        try:
            storage = file.storage
        except RouteNotSupportedException as error:
            if strict:
                raise
            _log.warning("this file gets no URL: %s", error)
            continue
        holder = holders.setdefault(file.file_id, storage)
        if holder is not storage and StorageAddress.of(holder) != StorageAddress.of(storage):
            raise InvalidArgumentException(
                "files of two storages have this id: ask for the URLs of each storage by itself", file_id=file.file_id
            )
        grouped.setdefault(holder, {})[file.file_id] = file
    return grouped


def _files_in(objects: object) -> Iterator[StoredFile]:
    waiting: list[Any] = list(objects) if isinstance(objects, Iterator) else [objects]
    seen: dict[int, object] = {}  # the objects as well, since an id is given again once its object is gone
    while waiting:
        value = waiting.pop()
        if isinstance(value, StoredFile):
            yield value
        elif (parts := _parts(value.__class__)) is not None and id(value) not in seen:
            seen[id(value)] = value
            waiting.extend(parts(value))


@lru_cache
def _parts(kind: type[Any]) -> Callable[[Any], Iterable[object]] | None:
    """Return a function that returns the values of an instance of the class. None for classes not to search."""
    if issubclass(kind, _ONE_VALUE):
        return None
    if issubclass(kind, Mapping):
        return kind.values
    if any(hasattr(kind, mark) for mark in _HOLDS_ATTRIBUTES):
        return _attributes
    return iter if issubclass(kind, Collection) else None


def _attributes(value: object) -> Iterable[object]:
    """Return the values that an object already holds. ``getattr`` would load the others."""
    if not hasattr(value, "__dict__"):
        return [getattr(value, name, None) for name in getattr(value, "__dataclass_fields__", ())]
    return [*vars(value).values(), getattr(value, "__pydantic_extra__", None)]


async def prefetch(
    files: Iterable[StoredFile | None],
    *what: Literal["info", "dimensions"],
    concurrency: int = 32,
) -> None:
    """Load facts of many files concurrently. Listings find them in `known_info` and `known_dimensions` afterwards.

    Args:
        files: The files. It skips None, missing files and images with a broken header.
        *what: ``"info"``, ``"dimensions"`` or both. The default is ``"info"``.
        concurrency: The largest number of concurrent requests, at least 1.

    Raises:
        InvalidArgumentException: `what` has another value, or `concurrency` is below 1.
    """
    asked = set(what or ("info",))
    if asked - {"info", "dimensions"}:
        raise InvalidArgumentException(f"prefetch takes 'info' and 'dimensions', not {what!r}", operation="prefetch")

    async def ask(file: StoredFile) -> None:
        try:
            if "info" in asked:
                await file.get_info()
            if "dimensions" in asked and isinstance(file, StoredImage):
                await file.get_dimensions()
        except (FileNotFoundException, InvalidArgumentException):
            return  # missing, or an image with a broken header: what is known stays None

    await map_bounded(ask, [file for file in files if file is not None], limit=concurrency)
