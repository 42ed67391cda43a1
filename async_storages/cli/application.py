"""The storages, the ledger and the database that a command works with. They are open while it runs."""

import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from async_storages import registry
from async_storages._tasks import offload
from async_storages.cli.apps import AppPath, configured_app, imported, made
from async_storages.cli.environment import EnvironmentStorages
from async_storages.errors import InvalidArgumentException
from async_storages.manager import StorageManager
from async_storages.registry import StorageAddress
from async_storages.storage.base import Storage

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy import FileLedger

__all__ = ["AppSource", "Application"]


@runtime_checkable
class _Migration(Protocol):
    """The part of a migration of files that commands use here."""

    source: Any
    target: Any
    engine: Any
    ledger: Any


@dataclass(slots=True)
class Application:
    """The user's objects, or the storages of the environment.

    Attributes:
        storages: The storages. The storage that takes a manager's new files comes first.
        ledger: The ledger. None if the application has none.
        engine: The database, an AsyncEngine or an Engine. None if there is none.
        environment: The storages of the environment. None if there is an application.
    """

    storages: list[Storage] = field(default_factory=list)
    ledger: "FileLedger | None" = None
    engine: Any = None
    environment: EnvironmentStorages | None = None

    def find(self, scheme: str, bucket: str | None, key: str) -> Storage:
        """Return the storage that serves a key.

        Raises:
            InvalidArgumentException: No storage serves it, or several do.
        """
        if self.environment is not None:
            found = self.environment.find(scheme, bucket)
            if found not in self.storages:
                self.storages.append(found)
            return found
        same = [each for each in self.storages if (each.scheme, each.bucket) == (scheme, bucket)]
        fitting = {
            (StorageAddress.of(each), each.prefix): each
            for each in same
            if key.startswith(each.prefix) or each.prefix.rstrip("/") == key
        }
        if len(fitting) == 1:
            return next(iter(fitting.values()))
        shown = scheme if bucket is None else f"{scheme}:{bucket}"
        known = ", ".join(sorted(map(repr, same if fitting else self.storages))) or "no storage"
        problem = f"several storages serve {shown} ids" if fitting else f"the application does not serve {shown} ids"
        raise InvalidArgumentException(f"{problem} (it has {known}): name another object by --app module:object")

    async def aclose(self) -> None:
        """Close the storages and the database."""
        async with AsyncExitStack() as closing:
            if self.engine is not None:
                closing.push_async_callback(_dispose, self.engine)
            if self.ledger is not None:
                closing.push_async_callback(self.ledger.aclose)
            for storage in self.storages:
                closing.push_async_callback(storage.aclose)


class AppSource:
    """Imports an application at once, and opens it in the event loop.

    Args:
        said: ``module:object`` of ``--app``. None for the application in pyproject.toml, or else the environment.

    Raises:
        InvalidArgumentException: The application cannot be imported, or a variable of the environment is wrong.
    """

    def __init__(self, said: AppPath | None) -> None:
        self.path = configured_app(said)
        self._found = None if self.path is None else imported(self.path)
        self._environment = EnvironmentStorages(os.environ) if self.path is None else None

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Application]:
        """Yield the application, and close it after the block.

        Raises:
            InvalidArgumentException: No command can work with an object of this kind.
        """
        application = await self._open()
        try:
            for storage in application.storages:
                await storage.__aenter__()  # of no effect on open ones; all are closed below
            yield application
        finally:
            await application.aclose()

    async def _open(self) -> Application:
        if self._environment is not None:
            return Application(self._environment.configured(), environment=self._environment)
        ledgers, engines = _database_kinds()
        kinds = (Storage, StorageManager, *ledgers, *engines, _Migration)
        found: Any = await made(self._found, kinds, self.path or "")
        if isinstance(found, Storage | StorageManager):
            return Application(_storages_in([found]))
        if isinstance(found, ledgers):
            ledger: Any = found
            return Application(_storages_of_columns(), ledger, ledger.engine)
        if isinstance(found, engines):
            return Application(_storages_in(map(registry.get, registry.names())), engine=found)
        storages = _storages_in([found.source, found.target])
        return Application(storages, found.ledger, found.engine)


def _database_kinds() -> tuple[tuple[type[Any], ...], tuple[type[Any], ...]]:
    """Return the classes of ledgers and of engines, if SQLAlchemy is installed."""
    try:
        from sqlalchemy import Engine  # noqa: PLC0415 - other commands work without SQLAlchemy
        from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: PLC0415

        from async_storages.integrations.sqlalchemy import FileLedger  # noqa: PLC0415
    except ImportError:
        return (), ()
    return (FileLedger,), (Engine, AsyncEngine)


def _storages_of_columns() -> list[Storage]:
    """Return the registered storages, and the storages of the file columns of all mapped classes."""
    from async_storages.integrations.sqlalchemy.columns.fields import all_file_fields  # noqa: PLC0415
    from async_storages.integrations.sqlalchemy.ledger.storage_lookup import find_routers  # noqa: PLC0415

    return _storages_in(find_routers(all_file_fields()))


def _storages_in(routers: Iterable[Any]) -> list[Storage]:
    """Return the storages of routers, each once."""
    found: dict[int, Storage] = {}
    for router in routers:
        several = router.storages if isinstance(router, StorageManager) else [router]
        found |= {id(each): each for each in several if isinstance(each, Storage)}
    return list(found.values())


async def _dispose(engine: Any) -> None:
    await (engine.dispose() if hasattr(engine, "sync_engine") else offload(engine.dispose))
