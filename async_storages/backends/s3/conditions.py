"""What servers make of ``If-None-Match: *``, and how files are created on those that make nothing of it.

AWS refuses to create an object where one is: by PutObject, CompleteMultipartUpload and, since October 2025, CopyObject.
Others ignore the header on some of these, or refuse every request that has it (501). Nothing in an answer tells that a
header was ignored, so a server that is not known is tried once for each bucket: see `probe`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from weakref import WeakKeyDictionary

from async_storages.errors import (
    InvalidArgumentException,
    OperationNotSupportedException,
    StorageException,
    StorageUnavailableException,
)

__all__ = ["CREATE", "REPLACE", "Conditional", "ConditionalWrites", "Conditions", "Creation", "Support", "refusal"]

logger = logging.getLogger("async_storages")

type ConditionalWrites = Literal["auto"] | bool
"""An option of `S3Storage`."""

type Conditional = Literal["put", "copy", "complete"]
"""The requests that create objects: PutObject, CopyObject, CompleteMultipartUpload."""

type Probe = Callable[[Conditional], Awaitable[Support]]

_SETTINGS: tuple[object, ...] = ("auto", True, False)


class Support(StrEnum):
    """What a server makes of a header.

    Attributes:
        HONOURED: It does what the header says.
        IGNORED: It does as if the header were not there.
        REFUSED: It refuses the request.
    """

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """How a request treats an object that is there.

    Attributes:
        condition: It is sent with ``If-None-Match: *``.
        looks: The object is looked for before, which races with others who create it.
        is_proof: A success shows that nothing was there, so that the object may be removed again.
        is_fresh: The key was made for this object and nobody else has it: the condition can be left out.
    """

    condition: bool = False
    looks: bool = False
    is_proof: bool = False
    is_fresh: bool = False


REPLACE = Creation()
"""Whatever is there is replaced."""

CREATE = Creation(condition=True, is_proof=True)
"""The server refuses if anything is there."""


class Conditions:
    """What is known of one server, by bucket and request.

    Args:
        setting: True and False for what is known already, ``"auto"`` to find it out.
        is_known: Whether a bucket is on a server that is known to honour conditions.

    Raises:
        InvalidArgumentException: Another setting.
    """

    def __init__(self, setting: ConditionalWrites, is_known: Callable[[str], bool]) -> None:
        if not any(setting is each or (setting == each == "auto") for each in _SETTINGS):
            raise InvalidArgumentException(f"conditional_writes is 'auto', True or False, not {setting!a}")
        self._setting = setting
        self._is_known = is_known
        self._found: dict[tuple[str, Conditional], Support] = {}
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def creation(
        self, bucket: str, request: Conditional, probe: Probe, *, overwrite: bool, is_fresh: bool
    ) -> Creation:
        """How to create an object; asks the server only where that matters and is not known.

        Args:
            bucket: The object's.
            request: Creates it.
            probe: Tries what the server makes of the condition.
            overwrite: Whether an object that is there is replaced.
            is_fresh: Whether nobody else can have the key.

        Raises:
            OperationNotSupportedException: The server refuses conditions, and the setting does not allow to look first.
        """
        if overwrite:
            return REPLACE
        if is_fresh:
            return Creation(condition=not self._is_refused(bucket, request), is_fresh=True)
        if self._setting is False:
            return Creation(looks=True)
        support = Support.HONOURED if self._setting is True else await self._support(bucket, request, probe)
        if support is Support.REFUSED:
            raise refusal("If-None-Match")
        return CREATE if support is Support.HONOURED else Creation(condition=True, looks=True)

    def is_honoured(self, bucket: str, request: Conditional) -> bool:
        """Whether the server is known to honour the condition, or was seen to."""
        return self._is_known(bucket) or self._found.get((bucket, request)) is Support.HONOURED

    def note_refusal(self, bucket: str, request: Conditional) -> None:
        """Remember that a server refuses the condition."""
        self._found[bucket, request] = Support.REFUSED

    def _is_refused(self, bucket: str, request: Conditional) -> bool:
        return self._setting is False or self._found.get((bucket, request)) is Support.REFUSED

    async def _support(self, bucket: str, request: Conditional, probe: Probe) -> Support:
        if self._is_known(bucket):
            return Support.HONOURED
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):  # one probe at a time
            if (bucket, request) not in self._found:
                self._found[bucket, request] = await _tried(bucket, request, probe)
        return self._found[bucket, request]


async def _tried(bucket: str, request: Conditional, probe: Probe) -> Support:
    try:
        support = await probe(request)
    except StorageUnavailableException:
        raise
    except StorageException as error:  # such as for want of a permission
        logger.warning("whether the server of %r honours conditions could not be tried: %s", bucket, error)
        return Support.IGNORED
    if support is Support.IGNORED:
        logger.warning(
            "the server of %r ignores If-None-Match (%s): overwrite=False looks first, which races with others",
            bucket,
            request,
        )
    return support


def refusal(header: str) -> OperationNotSupportedException:
    """The error for a condition that a server refuses."""
    return OperationNotSupportedException(
        f"the server refuses the header {header}, with which overwrite=False is safe: with conditional_writes=False "
        "the file is looked for first, which races with others who create it"
    )
