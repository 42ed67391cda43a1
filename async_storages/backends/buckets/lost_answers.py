"""Lost answers: the object on the server shows if the request was carried out."""

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
        """True once all bytes have left."""
        ...


async def recover_lost_answer[Found](
    send: Callable[[], Awaitable[Found]],
    sent: SendProgress,
    *,
    look: Callable[[int | None], Awaitable[Found]],
    is_done: Callable[[Found], bool],
) -> Found:
    """Return the object that a request made: from its answer, or from the server if the answer was lost.

    Args:
        send: Sends the request that makes an object, until the server answers.
        sent: The progress of sending it.
        look: Requests the object from the server. Its argument is the largest number of attempts, None for the usual
            one.
        is_done: Returns True if the object on the server is the one that the request makes.

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
