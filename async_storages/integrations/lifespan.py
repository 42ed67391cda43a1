"""The lifetime of storages within that of an application."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from async_storages.errors import StorageException
from async_storages.manager.manager import StorageManager
from async_storages.variants.making import close_shared_pool

__all__ = ["Lifespan", "Worker", "manager_of", "storage_lifespan"]

type Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
"""Takes the application: Starlette's, FastAPI's or one of Litestar's list; it yields the state, or nothing."""


class Worker(Protocol):
    """Work beside the application: a `FileLedger`, `DirectUploads`."""

    def running(self) -> AbstractAsyncContextManager[Any]:
        """The worker runs within it."""
        ...


def storage_lifespan(
    manager: StorageManager,
    *,
    ledger: Worker | None = None,
    uploads: Worker | None = None,
    lifespan: Lifespan | None = None,
) -> Lifespan:
    """A lifespan that opens the manager's storages, enters yours, runs the workers, and ends them in turn.

    Args:
        manager: Opened; `get_manager` of the framework's integration finds it then, in this application.
        ledger: The `FileLedger` whose worker runs within all of it; None for none.
        uploads: The `DirectUploads` of which what nobody attaches is removed meanwhile; None for none.
        lifespan: The application's own, within which the storages are open; the state is of its making.

    Example:
        >>> app = FastAPI(lifespan=storage_lifespan(manager))  # or Starlette; Litestar takes a list of lifespans

        Or from within a lifespan of your own:

        >>> @asynccontextmanager
        ... async def lifespan(app):
        ...     async with storage_lifespan(manager)(app):
        ...         yield {"name": "value"}
    """

    @asynccontextmanager
    async def lifetime(app: Any) -> AsyncGenerator[Mapping[str, Any] | None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(manager)
            stack.push_async_callback(close_shared_pool)
            app.state.storage_manager = manager
            state = None if lifespan is None else await stack.enter_async_context(lifespan(app))
            for worker in (ledger, uploads):  # the ledger's needs the database, which your lifespan opens and closes
                if worker is not None:
                    await stack.enter_async_context(worker.running())
            yield state

    return lifetime


def manager_of(app: Any) -> StorageManager:
    """The manager that `storage_lifespan` has given an application.

    Raises:
        StorageException: The application has none.
    """
    manager = getattr(app.state, "storage_manager", None)
    if not isinstance(manager, StorageManager):
        raise StorageException("the application has no manager: give it lifespan=storage_lifespan(manager)")
    return manager
