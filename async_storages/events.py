"""Events: storages report each finished operation to every function in `hooks`.

```python
from async_storages import events

events.hooks.append(lambda event: print(event.operation, event.outcome, event.bytes, event.duration))
```

Use hooks for metrics, traces and logs. They run on the event loop, directly after the operation, so they must be quick
and must not block. An event never holds a key, a URL or a secret.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from async_storages.ids import FileId

__all__ = ["Event", "Hook", "Operation", "hooks", "log"]

logger = logging.getLogger("async_storages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One finished operation.

    Attributes:
        operation: ``"write"``, ``"stream"``, ``"stat"``, ``"delete"``, ``"list"`` …
        scheme: The scheme of the storage: ``"s3"``, ``"file"`` …
        bucket: The bucket of the storage. None if it has none.
        bytes: The number of content bytes transferred. 0 for operations without content.
        duration: Seconds, measured with the monotonic clock.
        outcome: ``"ok"``, ``"cancelled"``, ``"abandoned"`` (a stream that was not read to its end) or the name of the
            exception's class.
    """

    operation: str
    scheme: str
    bucket: str | None
    bytes: int
    duration: float
    outcome: str


Hook = Callable[[Event], object]
"""A function that takes an event."""

hooks: list[Hook] = []
"""The functions that receive each event, in order. If a hook raises, the error is logged and the operation goes on."""


def log(event: Event) -> None:
    """Log an event as a DEBUG line of the logger ``async_storages``. Append this function to `hooks`."""
    logger.debug(
        "%s on %s: %s, %d bytes in %.1f ms",
        event.operation,
        event.scheme if event.bucket is None else f"{event.scheme}:{event.bucket}",
        event.outcome,
        event.bytes,
        event.duration * 1000,
    )


class Operation:
    """A context manager around one operation of a storage. It measures the operation and emits its event.

    Attributes:
        file: The file of the operation, once it is identified.
        bytes: The number of content bytes. The operation adds to it while bytes pass.
    """

    __slots__ = ("_bucket", "_name", "_scheme", "_started", "bytes", "file")

    file: FileId

    def __init__(self, name: str, scheme: str, bucket: str | None) -> None:
        self._name = name
        self._scheme = scheme
        self._bucket = bucket
        self._started = time.monotonic()
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if hooks:
            self._emit(_outcome(kind))

    def _emit(self, outcome: str) -> None:
        event = Event(
            operation=self._name,
            scheme=self._scheme,
            bucket=self._bucket,
            bytes=self.bytes,
            duration=time.monotonic() - self._started,
            outcome=outcome,
        )
        for hook in tuple(hooks):
            try:
                hook(event)
            except Exception:
                logger.exception("an event hook failed: %r", hook)


def _outcome(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "ok"
    if issubclass(kind, asyncio.CancelledError):
        return "cancelled"
    return "abandoned" if issubclass(kind, GeneratorExit) else kind.__name__
