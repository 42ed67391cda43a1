"""What became of a request whose answer was lost."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from async_storages.backends.buckets.errors import NoSuchUpload
from async_storages.errors import (
    FileExistsException,
    FileNotFoundException,
    StorageException,
    StorageUnavailableException,
)

__all__ = ["Sent", "heard"]


class Sent(Protocol):
    """How far a request got: see `async_storages.backends.transport.http.Body`."""

    @property
    def times_sent(self) -> int:
        """How often sending it has begun."""
        ...

    @property
    def was_sent(self) -> bool:
        """Whether all of it ever left."""
        ...


async def heard[Found](
    send: Callable[[], Awaitable[Found]],
    sent: Sent,
    *,
    look: Callable[[int | None], Awaitable[Found]],
    is_done: Callable[[Found], bool],
) -> Found:
    """What the answer says of the object that was made; if it, or that to an earlier attempt, was lost: what is there.

    Args:
        send: Sends what makes an object, until answered.
        sent: How far it got.
        look: Asks for the object, so many times at the most.
        is_done: Whether what is there is what was to be made.
    """
    try:
        return await send()
    except StorageUnavailableException:
        with suppress(StorageException):  # then it is not known, and the first error stands
            if sent.was_sent and is_done(found := await look(1)):
                return found
        raise
    except (FileExistsException, NoSuchUpload):
        with suppress(FileNotFoundException):
            if sent.times_sent > 1 and is_done(found := await look(None)):
                return found
        raise
