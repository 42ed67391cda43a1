"""The errors of this package leave a statement as they are, not inside a `sqlalchemy.exc.StatementError`."""

from copy import copy

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from async_storages.errors import StorageException

__all__ = ["listen"]


def listen() -> None:
    """Watch every engine of this process; once is enough."""
    if not event.contains(Engine, "handle_error", _pass_on):
        event.listen(Engine, "handle_error", _pass_on)


def _pass_on(context: ExceptionContext) -> StorageException | None:
    """What SQLAlchemy is to raise: a copy, since it sets the original as its cause, and a cycle there hangs some."""
    error = context.original_exception
    return copy(error) if isinstance(error, StorageException) else None
