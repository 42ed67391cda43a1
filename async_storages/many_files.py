"""Many files at once, as listings show them: their URLs, and the facts that would be asked for one by one."""

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
"""Attributes of classes whose instances are searched: of SQLAlchemy, pydantic and the standard library."""

_ONE_VALUE = (str, bytes, bytearray, memoryview)
"""Collections that hold no objects."""


class FileUrls(dict[str, str]):
    """The URLs of files by their ids; file objects find theirs as well, so that templates write ``urls[user.picture]``.

    A file without a URL is missing, and so is None.
    """

    def __getitem__(self, file: str | StoredFile | None) -> str:
        return super().__getitem__(_id_of(file))

    def __contains__(self, file: object) -> bool:
        return super().__contains__(_id_of(file))

    def get(self, file: str | StoredFile | None, default: Any = None) -> Any:
        """The URL of a file or id; the default where it has none."""
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
    """The URLs of all files in rows or models, by file or id: for templates, and as a context of pydantic.

    Files are looked for in collections, values of mappings, and what mapped objects, pydantic models and dataclasses
    hold, however deep. That loads nothing: deferred and expired attributes are passed over, properties not called. All
    files of a storage are presigned at once; on S3 no request is made. Variants that are made later than the upload
    have the URL of the route that makes them, which does not end.

    Args:
        objects: A file object, one of these, or an iterable of them; an iterator is used up.
        expires_in: Seconds until presigned URLs end, 1 to 604,800.
        presign: False for the URLs of `Storage.url`, which need not end.
        stable: A window of time in which the same URLs are made again: see `SupportsPresign.presign`.
        strict: True to raise for a file of a storage that is not known here; otherwise it has no URL, and a line of the
            logger ``async_storages`` names its id.

    Raises:
        OperationNotSupportedException: A storage cannot presign.
        RouteNotSupportedException: No storage that is known here serves an id, and `strict` is True.
        InvalidArgumentException: An id is malformed, or two storages hold a file of one id; a bad `expires_in`.

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
    """A function that gives the values of an instance of the class; None for classes that are not searched."""
    if issubclass(kind, _ONE_VALUE):
        return None
    if issubclass(kind, Mapping):
        return kind.values
    if any(hasattr(kind, mark) for mark in _HOLDS_ATTRIBUTES):
        return _attributes
    return iter if issubclass(kind, Collection) else None


def _attributes(value: object) -> Iterable[object]:
    """The values that an object holds already; ``getattr`` would load the others."""
    if not hasattr(value, "__dict__"):
        return [getattr(value, name, None) for name in getattr(value, "__dataclass_fields__", ())]
    return [*vars(value).values(), getattr(value, "__pydantic_extra__", None)]


async def prefetch(
    files: Iterable[StoredFile | None],
    *what: Literal["info", "dimensions"],
    concurrency: int = 32,
) -> None:
    """Ask for facts of many files at once, so that listings find them in `known_info` and `known_dimensions`.

    Args:
        files: The files; None among them is passed over, as are missing files and broken images.
        *what: ``"info"``, ``"dimensions"`` or both; ``"info"`` if nothing is said.
        concurrency: Requests under way at once, at least 1.

    Raises:
        InvalidArgumentException: Something else is asked for, or a concurrency below 1.
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
