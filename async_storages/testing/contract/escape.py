"""Escape: no name points outside the storage, or finds a file by another name than its own."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

import pytest

from async_storages.content import Content
from async_storages.errors import InvalidArgumentException, RouteNotSupportedException
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsCopy, SupportsDirectUpload, SupportsMetadata, SupportsPresign
from async_storages.testing.contract.base import ContractGroup, can
from async_storages.testing.contract.names import ESCAPES

__all__ = ["EscapeContract"]


class EscapeContract(ContractGroup):
    """Every method that takes a name, called with impossible names."""

    @pytest.mark.parametrize("name", [pytest.param(name, id=label) for label, name in ESCAPES.items()])
    async def test_escape(self, storage: Storage, name: str) -> None:
        """Every operation refuses a key that points outside the storage, and changes nothing."""
        await self._refuses_name(storage, name)

    async def test_escape_from_the_own_scheme(self, storage: Storage) -> None:
        """A bad key stays bad with the storage's own scheme, or another bucket, in front of it."""
        key = await storage.upload(b"canary", "folder/canary.txt")
        canary = str(storage.identify(key))
        own = canary.removesuffix(key)
        for name in (f"{own}../{key}", f"{own}folder/../{key}", f"{own}{key}/../canary.txt", own):
            await self._refuses_name(storage, name)
        for name in (f"{own}/{key}", f"{own}folder//canary.txt", f"{own}./{key}"):
            await self._refuses_name(storage, name, but=_NOT_WRITING if _is_id(storage, name) else ())
        if storage.bucket is not None:
            await self._refuses_name(storage, canary.replace(storage.bucket, f"{storage.bucket}-2", 1))

    @pytest.mark.parametrize("name", [None, 5, b"folder/canary.txt", ["folder/canary.txt"]], ids=repr)
    async def test_escape_with_what_is_no_name(self, storage: Storage, name: Any) -> None:
        """Every operation refuses values that are not names in the same way."""
        await self._refuses_name(storage, name)

    @pytest.mark.parametrize("name", ["folder/canary.txt", "canary.txt", "folder", "canary"])
    async def test_escape_a_name_is_no_id(self, storage: Storage, name: str) -> None:
        """If the storage chooses ids, no operation takes a name for an id, not even an uploaded file's name."""
        if storage.chooses_ids:
            await self._refuses_name(storage, name, but={"upload", "write"})

    @pytest.mark.parametrize("key", ["s3:folder/canary.txt", "a:b.txt", " a.txt", "a.txt.", "CON", ".hidden"])
    async def test_escape_upload_takes_clean_keys_only(self, storage: Storage, key: str) -> None:
        """A key that some system reads as another one is refused. The form that the error suggests works."""
        async with self.unchanged(storage):
            with pytest.raises((InvalidArgumentException, RouteNotSupportedException)):
                await storage.upload(b"content", key)
        clean = await storage.upload(b"content", storage.get_name(key))
        assert await storage.read(clean) == b"content"
        assert storage.chooses_ids or clean == storage.get_name(key)

    async def _refuses_name(self, storage: Any, name: Any, *, but: Collection[str] = ()) -> None:
        canaries = [await storage.upload(b"canary", key) for key in ("folder/canary.txt", "canary.txt")]
        async with self.unchanged(storage, *canaries):
            for operation, attempt in (await _attempts(storage, name)).items():
                if operation in but:
                    continue
                with pytest.raises((InvalidArgumentException, RouteNotSupportedException)) as caught:
                    await attempt()
                assert caught.value.reason, operation


_NOT_WRITING = frozenset(
    {"read", "stat", "exists", "delete", "delete_many", "url", "copy from", "presign GET", "presign DELETE"}
)


def _is_id(storage: Storage, name: str) -> bool:
    """True if the storage takes the name for the id of another tool's file. Such a file may be read and deleted."""
    try:
        storage.identify(name)
    except InvalidArgumentException:
        return False
    return True


async def _attempts(storage: Any, name: Any) -> dict[str, Callable[[], Awaitable[object]]]:
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "upload": lambda: storage.upload(b"escaped", name),
        "write": lambda: _write(storage, name),
        "read": lambda: storage.read(name),
        "stat": lambda: storage.stat(name),
        "exists": lambda: storage.exists(name),
        "delete": lambda: storage.delete(name),
        "delete_many": lambda: storage.delete_many([name]),
        "url": lambda: storage.url(name),
    }
    if await can(storage, SupportsCopy):
        attempts["copy from"] = lambda: storage.copy(name, "copy.txt")
        attempts["copy to"] = lambda: storage.copy("canary.txt", name)
    if await can(storage, SupportsMetadata):
        attempts["set_metadata"] = lambda: storage.set_metadata(name, {"a": "1"})
    if await can(storage, SupportsDirectUpload):
        attempts["presign_post"] = lambda: storage.presign_post(name)
    if await can(storage, SupportsPresign):
        for method in ("GET", "PUT", "DELETE"):
            attempts[f"presign {method}"] = partial(_presign, storage, name, method)
    return attempts


async def _write(storage: Any, name: Any) -> None:
    async with Content(b"escaped") as content:
        await storage.write(content, name)


async def _presign(storage: Any, name: Any, method: str) -> None:
    storage.presign(name, method=method)
