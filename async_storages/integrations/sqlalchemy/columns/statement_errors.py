"""Errors of this package in statements. They are raised unwrapped, without a `sqlalchemy.exc.StatementError`."""

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
    """Return a copy for SQLAlchemy to raise. Its cause is the original, and a cycle would hang some programs."""
    error = context.original_exception
    return copy(error) if isinstance(error, StorageException) else None
