"""Errors of this package in statements: they are raised as they are, not in a `sqlalchemy.exc.StatementError`."""

from copy import copy

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from async_storages.errors import StorageException

__all__ = ["listen"]


def listen() -> None:
    """Watch every engine of this process; a second call does nothing."""
    if not event.contains(Engine, "handle_error", _pass_on):
        event.listen(Engine, "handle_error", _pass_on)


def _pass_on(context: ExceptionContext) -> StorageException | None:
    """Return a copy for SQLAlchemy to raise: it sets the original as the cause, and some programs hang in a cycle."""
    error = context.original_exception
    return copy(error) if isinstance(error, StorageException) else None
