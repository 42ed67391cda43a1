"""Conditional writes (``If-None-Match: *``), and safe creation of files on servers that do not support them.

With the header, AWS refuses to replace an object by PutObject, CompleteMultipartUpload and, since October 2025,
CopyObject. Other servers ignore the header on some of these requests, or refuse every request that has it (501). No
answer tells that a header was ignored, so an unknown server is tested once for each bucket: see `conditions_probe`.
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
    """A server's treatment of a header.

    Attributes:
        HONOURED: The server obeys the header.
        IGNORED: The server ignores the header.
        REFUSED: The server refuses the request.
    """

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The treatment of an existing object by a request that creates one.

    Attributes:
        is_conditional: The request carries ``If-None-Match: *``.
        should_look_first: The storage first checks that the object does not exist. Two writers at once may both pass.
        is_proof: A success proves that no object existed, so that the new one may be deleted again.
        is_fresh: The key was made for this object, and no other object can have it. The condition may be left out.
    """

    is_conditional: bool = False
    should_look_first: bool = False
    is_proof: bool = False
    is_fresh: bool = False


REPLACE = Creation()
"""The request replaces an existing object."""

CREATE = Creation(is_conditional=True, is_proof=True)
"""The server refuses if an object exists."""


class Conditions:
    """The treatment of conditions by one server, by bucket and request.

    Args:
        setting: True or False for a known server, ``"auto"`` to test it.
        is_known: Returns True if a bucket is on a server that is known to honour conditions.

    Raises:
        InvalidArgumentException: The setting is another value.
    """

    def __init__(self, setting: ConditionalWrites, is_known: Callable[[str], bool]) -> None:
        if not any(setting is each or (setting == each == "auto") for each in _SETTINGS):
            raise InvalidArgumentException(f"conditional_writes is {setting!a}: give 'auto', True or False")
        self._setting = setting
        self._is_known = is_known
        self._found: dict[tuple[str, Conditional], Support] = {}
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def creation(
        self, bucket: str, request: Conditional, probe: Probe, *, overwrite: bool, is_fresh: bool
    ) -> Creation:
        """Return the way to create an object. Test the server only if that matters and is unknown.

        Args:
            bucket: The bucket.
            request: The request that creates the object.
            probe: Tests the server's treatment of the condition.
            overwrite: True replaces an existing object.
            is_fresh: True if no other object can have this key.

        Raises:
            OperationNotSupportedException: The server refuses conditions, and the setting does not allow a check
                instead.
        """
        if overwrite:
            return REPLACE
        if is_fresh:
            return Creation(is_conditional=not self._is_refused(bucket, request), is_fresh=True)
        if self._setting is False:
            return Creation(should_look_first=True)
        support = Support.HONOURED if self._setting is True else await self._support(bucket, request, probe)
        if support is Support.REFUSED:
            raise refusal("If-None-Match")
        return CREATE if support is Support.HONOURED else Creation(is_conditional=True, should_look_first=True)

    def is_honoured(self, bucket: str, request: Conditional) -> bool:
        """Return True if the server is known to honour the condition, or a test has shown it."""
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
    except StorageException as error:  # a missing permission, for example
        logger.warning("conditions could not be tried on the server of %r: %s", bucket, error)
        return Support.IGNORED
    if support is Support.IGNORED:
        logger.warning(
            "the server of %r ignores If-None-Match (%s): overwrite=False looks first, which races with others",
            bucket,
            request,
        )
    return support


def refusal(header: str) -> OperationNotSupportedException:
    """Return the error for a server that refuses a condition."""
    return OperationNotSupportedException(
        f"the server refuses the header {header}, which makes overwrite=False safe: with conditional_writes=False "
        "the file is looked for first instead, which races with others who create it"
    )
