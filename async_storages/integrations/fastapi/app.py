"""The lifetime of storages within that of an application."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from fastapi import FastAPI

from async_storages.manager import StorageManager

__all__ = ["Ledger", "Lifespan", "storage_lifespan"]

type Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
"""What `FastAPI(lifespan=…)` takes: it yields the state, or nothing."""


class Ledger(Protocol):
    """Something with a worker that runs beside the application, such as a `FileLedger`."""

    def running(self) -> AbstractAsyncContextManager[Any]:
        """The worker runs within it."""
        ...


def storage_lifespan(
    manager: StorageManager, *, ledger: Ledger | None = None, lifespan: Lifespan | None = None
) -> Lifespan:
    """A lifespan that opens the manager's storages, enters yours, runs the ledger's worker, and ends them in turn.

    Args:
        manager: Also what the dependencies of this integration hand out, in this application.
        ledger: Whose worker runs within all of it; None for none.
        lifespan: The application's own, within which the storages are open; what it yields is the state.

    Example:
        >>> app = FastAPI(lifespan=storage_lifespan(manager))

        Or from within a lifespan of your own:

        >>> @asynccontextmanager
        ... async def lifespan(app):
        ...     async with storage_lifespan(manager)(app):
        ...         yield {"cache": cache}
    """

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> AsyncGenerator[Mapping[str, Any] | None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(manager)
            app.state.storage_manager = manager
            state = None if lifespan is None else await stack.enter_async_context(lifespan(app))
            if ledger is not None:  # it needs the database, which the application's lifespan opens and closes
                await stack.enter_async_context(ledger.running())
            yield state

    return lifetime
