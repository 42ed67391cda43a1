"""An upload is attached once: by the caller who claims it first.

No server needs to honour conditions for that. A caller writes a claim beside the upload, under a key of its own, and
then lists the claims. Whoever sees its own alone has won, and leaves it there until the upload's time is over. Of two
callers the later one to write sees the claim of the other, so that no two see theirs alone: all that is asked of the
server is that a listing holds what was written before it, as S3, Cloud Storage and folders promise. Two that see each
other do not both give up: the one that began first waits for the other to go.

A ledger does the same by a row, which takes neither an object nor a listing.
"""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

from async_storages._cleanup import UNDO_WITHIN, clean_up, settled_if_cancelled
from async_storages.errors import FileExistsException, OperationNotSupportedException
from async_storages.ids import FileId
from async_storages.storage.base import FileName, Storage
from async_storages.storage.capabilities import SupportsList

__all__ = ["Claim", "PendingUpload", "SupportsUploadClaims", "claimed"]

type Claim = Callable[[str], Awaitable[object]]
"""Called with the name of an upload that is about to be attached; raises if it was attached before."""

_PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds in which another caller, who has seen the claim, gives up."""


@runtime_checkable
class SupportsUploadClaims(Protocol):
    """Keeps claims in a database, as a `FileLedger` does."""

    def claim_upload(self, storage: Storage, name: FileName, seconds: float) -> Coroutine[Any, Any, bool]:
        """Claim an upload for so many seconds; False if it is claimed."""
        ...

    async def release_upload(self, storage: Storage, name: FileName) -> None:
        """Give up one's own claim."""
        ...


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """An upload that waits to be attached.

    Attributes:
        file: Its id.
        folder: The folder that it will be in.
        name: The name that it will have.
        claims: The beginning of the bare keys of its claims.
        seconds: The time in which it may be attached.
    """

    file: FileId
    folder: str
    name: str
    claims: str
    seconds: float


@asynccontextmanager
async def claimed(
    storage: Storage, upload: PendingUpload, ledger: object = None, claim: Claim | None = None
) -> AsyncGenerator[None]:
    """Let one caller into the block for each upload; if the block raises, another one may try.

    Args:
        storage: Holds the upload.
        upload: The upload that is claimed.
        ledger: Keeps the claims, if it can.
        claim: Decides in the place of both; it is not told of a failure.

    Raises:
        FileExistsException: Another caller has claimed it.
        OperationNotSupportedException: Nothing can keep claims.
    """
    if claim is not None:
        await claim(sha256(str(upload.file).encode()).hexdigest())
        yield
        return
    way = _in_ledger(storage, upload, ledger) if isinstance(ledger, SupportsUploadClaims) else _beside(storage, upload)
    async with way:
        yield


@asynccontextmanager
async def _in_ledger(storage: Storage, upload: PendingUpload, ledger: SupportsUploadClaims) -> AsyncGenerator[None]:
    async def give_up(is_ours: bool) -> None:
        if is_ours:
            await ledger.release_upload(storage, upload.file)

    is_ours = await settled_if_cancelled(
        ledger.claim_upload(storage, upload.file, upload.seconds),
        is_without_effect=lambda: False,
        undo=give_up,
        within=UNDO_WITHIN,
    )
    if not is_ours:
        raise _taken()
    try:
        yield
    except BaseException as error:
        await clean_up(give_up(is_ours), error, within=UNDO_WITHIN)
        raise


@asynccontextmanager
async def _beside(storage: Storage, upload: PendingUpload) -> AsyncGenerator[None]:
    if not isinstance(storage, SupportsList):
        raise OperationNotSupportedException(
            f"{type(storage).__name__} cannot list its files: attach with a `ledger` or with `claim=`"
        )
    own = f"{upload.claims}{time.time_ns():016x}{secrets.token_hex(8)}"
    try:
        await storage.upload(b"claimed", own, content_type="text/plain")
        await _win(storage, upload.claims, str(storage.identify(own)))
        yield
    except BaseException as error:
        await clean_up(storage.delete(own), error, within=UNDO_WITHIN)
        raise


async def _win(storage: SupportsList, prefix: str, own: str) -> None:
    """Wait until a claim is the only one, as long as the others are later and may give up."""
    for pause in (*_PAUSES, None):
        claims = {info.file_id async for info in storage.list(prefix)}
        if claims == {own}:
            return
        if pause is None or min(claims, default=own) != own:
            raise _taken()
        await asyncio.sleep(random.uniform(0.5, 1) * pause)  # noqa: S311 - no secret


def _taken() -> FileExistsException:
    return FileExistsException("the upload was attached before, or is being attached at this moment")
