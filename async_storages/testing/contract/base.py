"""The base of all groups: the fixture, the choice of tests, and the checks that nothing changed."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import wraps
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from async_storages.errors import FileNotFoundException, InvalidArgumentException, OperationNotSupportedException
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsCopy, SupportsDirectUpload, SupportsList, SupportsPresign

__all__ = ["ContractGroup", "can", "exact_keys", "fingerprint", "missing", "needs"]

_NEED_EXACT_KEYS = (SupportsList, SupportsCopy, SupportsDirectUpload)


class ContractGroup:
    """A group of tests. It marks each `async def` test for pytest-asyncio, so that strict mode runs it as well."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Mark the tests."""
        super().__init_subclass__(**kwargs)
        for name, test in vars(cls).items():
            marks = {mark.name for mark in getattr(test, "pytestmark", ())}
            if name.startswith("test_") and inspect.iscoroutinefunction(test) and "asyncio" not in marks:
                pytest.mark.asyncio(test)

    if TYPE_CHECKING:
        storage: Any
    else:

        @pytest.fixture
        def storage(self) -> Any:
            """Yield an open, empty storage. Override this fixture, sync or async."""
            raise NotImplementedError("override the fixture `storage` with one that gives an open, empty storage")

    async def leftovers(self, storage: Any) -> Collection[str]:
        """Return the backend's content besides files, such as drafts and open uploads. Override it if you can.

        If the storage cannot list its files, return everything, files included. The suite has no other way to see the
        remains of a failed write.
        """
        return ()

    @asynccontextmanager
    async def unchanged(self, storage: Storage, *keys: str) -> AsyncIterator[None]:
        """Check that the block changes nothing: neither these files, existing or missing, nor anything else."""
        before = await self.state(storage, *keys)
        yield
        assert await self.state(storage, *keys) == before

    async def state(self, storage: Storage, *keys: str) -> dict[str, object]:
        """Return everything that the storage shows of some files, and of its other content."""
        seen: dict[str, object] = {key: await _seen(storage, key) for key in keys}
        if isinstance(storage, SupportsList):
            seen["all files"] = [info.file_id async for info in storage.list()]
        seen["left over"] = sorted(await self.leftovers(storage))
        return seen

    async def replaces_nothing(self, storage: Storage) -> None:
        """Check that each upload is a new file. It replaces tests of exact keys if the storage chooses ids."""
        key = await storage.upload(b"content", "file.txt", metadata={"a": "1"})
        async with self.unchanged(storage, key):
            with pytest.raises(InvalidArgumentException):
                await storage.upload(b"content", "file.txt", overwrite=False)
            others = await asyncio.gather(*(storage.upload(b"content", "file.txt") for _ in range(5)))
            assert len({key, *others}) == 6
            await storage.delete_many(others)


async def _seen(storage: Storage, key: str) -> object:
    absent = (FileNotFoundException, InvalidArgumentException) if storage.chooses_ids else FileNotFoundException
    try:
        return await storage.stat(key), fingerprint(await storage.read(key))
    except absent:
        return "absent"


async def missing(storage: Storage, key: str = "missing.txt") -> str:
    """Return the name of a missing file: the key itself, or the chosen id of a deleted file."""
    if storage.chooses_ids:
        key = await storage.upload(b"missing", key)
        await storage.delete(key)
    return key


def fingerprint(content: bytes) -> tuple[int, str]:
    """Return size and digest. Failures show them instead of long content."""
    return len(content), sha256(content).hexdigest()


def needs[**Arguments](
    capability: Any,
) -> Callable[[Callable[Arguments, Awaitable[None]]], Callable[Arguments, Awaitable[None]]]:
    """Run a test if the storage has the capability (a Protocol). Otherwise check that it is missing: see `can`."""

    def decorate(test: Callable[Arguments, Awaitable[None]]) -> Callable[Arguments, Awaitable[None]]:
        @wraps(test)
        async def chosen(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            if await can(kwargs["storage"], capability):
                await test(*args, **kwargs)

        return chosen

    return decorate


def exact_keys[**Arguments](
    test: Callable[Arguments, Awaitable[None]],
) -> Callable[Arguments, Awaitable[None]]:
    """Run a test if files get the keys that callers choose. Otherwise check `replaces_nothing`."""

    @wraps(test)
    async def chosen(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        group: Any = args[0]
        storage: Any = kwargs["storage"]
        await (group.replaces_nothing(storage) if storage.chooses_ids else test(*args, **kwargs))

    return chosen


async def can(storage: Any, capability: Any) -> bool:
    """True if a storage has a capability and is set up for it.

    If a capability is missing, all of it must be missing: the storage has none of the Protocol's methods, or they raise
    OperationNotSupportedException. A storage that chooses its ids lacks capabilities about keys.
    """
    has_it = isinstance(storage, capability)
    parts = [name for name in vars(capability) if not name.startswith("_") and hasattr(storage, name)]
    assert has_it or not parts, f"{type(storage).__name__} has {parts}, but not all of {capability.__name__}"
    assert not (has_it and storage.chooses_ids and capability in _NEED_EXACT_KEYS), f"{parts} need exact keys"
    try:
        if capability is SupportsPresign:
            await storage.file(await missing(storage, "probe.txt")).get_presigned_url()
        elif capability is SupportsDirectUpload and has_it:
            await storage.presign_post("probe.txt")
    except OperationNotSupportedException:
        return False
    return has_it
