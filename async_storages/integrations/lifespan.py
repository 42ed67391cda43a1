"""`storage_lifespan`: it opens and closes storages together with an application."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from async_storages.errors import StorageException
from async_storages.manager.manager import StorageManager
from async_storages.variants.making import close_shared_pool

__all__ = ["Lifespan", "Worker", "manager_of", "storage_lifespan"]

type Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
"""A lifespan of Starlette or FastAPI, or one from Litestar's list. It takes the application, and may yield a state."""


class Worker(Protocol):
    """Background work of an application: a `FileLedger` or `DirectUploads`."""

    def running(self) -> AbstractAsyncContextManager[Any]:
        """Return a context manager within which the worker runs."""
        ...


def storage_lifespan(
    manager: StorageManager,
    *,
    ledger: Worker | None = None,
    uploads: Worker | None = None,
    lifespan: Lifespan | None = None,
) -> Lifespan:
    """Return a lifespan that opens the manager's storages, enters your lifespan, and runs the workers.

    At the end, it stops the workers, leaves your lifespan and closes the storages.

    Args:
        manager: The manager to open. The framework's `get_manager` returns it in this application.
        ledger: The `FileLedger` whose worker runs during the lifespan. None for no ledger.
        uploads: The `DirectUploads` that remove expired uploads during the lifespan. None for no direct uploads.
        lifespan: Your own lifespan. The storages are open within it, and its state becomes the state of the
            application.

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
    """Return the manager that `storage_lifespan` has set for an application.

    Raises:
        StorageException: The application has no manager.
    """
    manager = getattr(app.state, "storage_manager", None)
    if not isinstance(manager, StorageManager):
        raise StorageException("the application has no manager: give it lifespan=storage_lifespan(manager)")
    return manager
