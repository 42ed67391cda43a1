"""One call of every operation of a storage, and the event that it must emit."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from async_storages.content import Content
from async_storages.storage.capabilities import (
    SupportsCopy,
    SupportsDirectUpload,
    SupportsList,
    SupportsMetadata,
    SupportsPing,
    SupportsPresign,
)
from async_storages.testing.contract.base import can

__all__ = ["FIVE", "Use", "uses_of"]

FIVE = b"12345"
"""The content of the file that an operation is tried on, and of the one that it writes."""


@dataclass(frozen=True, slots=True)
class Use:
    """One call of a storage's public methods.

    Attributes:
        call: Takes the storage and the key of an existing file that holds `FIVE`.
        event: The operation named in the event.
        bytes: The bytes in the event. None if backends differ.
        capability: The Protocol that the storage must have.
    """

    call: Callable[[Any, str], Awaitable[object]]
    event: str
    bytes: int | None = 0
    capability: Any = None


async def uses_of(storage: Any) -> dict[str, Use]:
    """Return every operation that the storage has, by the method's name."""
    return {name: use for name, use in _USES.items() if use.capability is None or await can(storage, use.capability)}


async def _write(storage: Any, key: str) -> None:
    async with Content(FIVE) as content:
        await storage.write(content, key)


async def _stream(storage: Any, key: str) -> None:
    async with aclosing(storage.stream(key, 1, 3)) as chunks:
        assert [chunk async for chunk in chunks] == [FIVE[1:4]]


async def _list(storage: Any, key: str) -> None:
    assert [info async for info in storage.list(key)]


async def _ping(storage: Any, _key: str) -> None:
    await storage.ping()


async def _presign(storage: Any, key: str) -> None:
    storage.presign(key)


async def _presign_many(storage: Any, key: str) -> None:
    storage.presign_many([key])


_USES = {
    "write": Use(_write, "write", 5),
    "upload": Use(lambda storage, key: storage.upload(FIVE, key), "write", 5),
    "save": Use(lambda storage, key: storage.save(FIVE, key), "write", 5),
    "stream": Use(_stream, "stream", 3),
    "read": Use(lambda storage, key: storage.read(key), "stream", 5),
    "open": Use(lambda storage, key: storage.open(key), "stream", 5),
    "download_to": Use(lambda storage, key: storage.download_to(key, BytesIO()), "stream", 5),
    "stat": Use(lambda storage, key: storage.stat(key), "stat"),
    "info": Use(lambda storage, key: storage.info(key), "stat"),
    "get_size": Use(lambda storage, key: storage.get_size(key), "stat"),
    "exists": Use(lambda storage, key: storage.exists(key), "stat"),
    "url": Use(lambda storage, key: storage.url(key), "url"),
    "get_path": Use(lambda storage, key: storage.get_path(key), "url"),
    "list": Use(_list, "list", 0, SupportsList),
    "copy": Use(lambda storage, key: storage.copy(key, "copy.txt"), "copy", None, SupportsCopy),
    "set_metadata": Use(
        lambda storage, key: storage.set_metadata(key, {"a": "1"}), "set_metadata", 0, SupportsMetadata
    ),
    "presign": Use(_presign, "presign", 0, SupportsPresign),
    "presign_many": Use(_presign_many, "presign", 0, SupportsPresign),
    "presign_post": Use(
        lambda storage, key: storage.presign_post(key, max_size=5), "presign_post", 0, SupportsDirectUpload
    ),
    "ping": Use(_ping, "ping", 0, SupportsPing),
    "delete": Use(lambda storage, key: storage.delete(key), "delete"),
    "delete_many": Use(lambda storage, key: storage.delete_many([key]), "delete"),
}
