"""Claims: an upload is attached only once, by the caller that claims it first.

This works without conditional writes. A caller writes a claim beside the upload, under a key of its own. Then it lists
the claims. A caller that sees only its own claim has won. Its claim stays until the upload expires.

Of two callers, the one that writes later sees the claim of the other. So two callers never both win. The server must
only list every object that was written before the listing. S3, Cloud Storage and folders promise this. If two callers
see each other's claims, only the later one gives up. The earlier one waits for it.

A ledger keeps the claim as a row instead, without an object and a listing.
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
"""A function that takes the name of an upload before it is attached. It raises if the upload was attached before."""

_PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds to wait until another caller, which has seen the claim, gives up."""


@runtime_checkable
class SupportsUploadClaims(Protocol):
    """An object that keeps claims in a database, for example a `FileLedger`."""

    def claim_upload(self, storage: Storage, name: FileName, seconds: float) -> Coroutine[Any, Any, bool]:
        """Claim an upload for some seconds. Returns False if another caller has claimed it."""
        ...

    async def release_upload(self, storage: Storage, name: FileName) -> None:
        """Give up the caller's own claim."""
        ...


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """An upload that is not attached yet.

    Attributes:
        file: The id of the pending file.
        folder: The folder of the attached file.
        name: The name of the attached file.
        claims: The beginning of the bare keys of its claims.
        seconds: The remaining time to attach it.
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
    """Claim an upload for the block. Only one caller succeeds. If its block raises, another caller may try.

    Args:
        storage: The storage of the upload.
        upload: The upload to claim.
        ledger: Keeps the claim if it is `SupportsUploadClaims`. Otherwise the storage keeps it.
        claim: A function that decides instead of both. It does not learn of a failure of the block.

    Raises:
        FileExistsException: Another caller has claimed the upload.
        OperationNotSupportedException: The storage cannot list files, and neither `ledger` nor `claim` is given.
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
    """Wait until a claim is the only one. Raise if an earlier claim exists, or if later ones do not give up."""
    for pause in (*_PAUSES, None):
        claims = {info.file_id async for info in storage.list(prefix)}
        if claims == {own}:
            return
        if pause is None or min(claims, default=own) != own:
            raise _taken()
        await asyncio.sleep(random.uniform(0.5, 1) * pause)  # noqa: S311 - no secret


def _taken() -> FileExistsException:
    return FileExistsException("the upload was attached before, or is being attached at this moment")
