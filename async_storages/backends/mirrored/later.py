"""Writes whose copies a ledger queues. The call itself writes to no mirror."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["is_mirrored_later", "mirrored_later"]

_is_later: ContextVar[bool] = ContextVar("is_mirrored_later", default=False)


@contextmanager
def mirrored_later() -> Iterator[None]:
    """Let a `MirroredStorage` with a queue write to its primary only. The caller makes the copies."""
    token = _is_later.set(True)
    try:
        yield
    finally:
        _is_later.reset(token)


def is_mirrored_later() -> bool:
    """Return True within `mirrored_later`."""
    return _is_later.get()
