"""Lost answers: the object on the server tells what became of the request."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from async_storages.backends.buckets.server_errors import NoSuchUpload
from async_storages.errors import (
    FileExistsException,
    FileNotFoundException,
    StorageException,
    StorageUnavailableException,
)

__all__ = ["SendProgress", "recover_lost_answer"]


class SendProgress(Protocol):
    """The progress of sending a request: see `async_storages.backends.transport.http.Body`."""

    @property
    def times_sent(self) -> int:
        """The number of times that sending has begun."""
        ...

    @property
    def was_sent(self) -> bool:
        """True once all of it has left."""
        ...


async def recover_lost_answer[Found](
    send: Callable[[], Awaitable[Found]],
    sent: SendProgress,
    *,
    look: Callable[[int | None], Awaitable[Found]],
    is_done: Callable[[Found], bool],
) -> Found:
    """The object that a request made, from its answer or, where an answer was lost, from the server.

    Args:
        send: Sends the request that makes an object, until answered.
        sent: The progress of sending it.
        look: Asks the server for the object; takes the most attempts, None for the usual number.
        is_done: Tells whether the object on the server is the one that the request makes.

    Raises:
        StorageException: The request failed, and the server does not have the object.
    """
    try:
        return await send()
    except StorageUnavailableException:
        with suppress(StorageException):  # the outcome stays unknown, and the first error counts
            if sent.was_sent and is_done(found := await look(1)):
                return found
        raise
    except (FileExistsException, NoSuchUpload):
        with suppress(FileNotFoundException):
            if sent.times_sent > 1 and is_done(found := await look(None)):
                return found
        raise
