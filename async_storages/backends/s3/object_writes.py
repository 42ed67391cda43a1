"""Requests that make objects. They are conditional, survive lost answers, and are undone when cancelled.

Only an object that the request itself made is deleted again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from async_storages._cleanup import settled_if_cancelled
from async_storages.backends.buckets.lost_answers import recover_lost_answer
from async_storages.backends.buckets.server_errors import HeaderRefused
from async_storages.backends.s3 import xml_messages
from async_storages.backends.s3.conditional_writes import Conditional, Conditions, Creation, refusal
from async_storages.backends.s3.download import WITH_CHECKSUM
from async_storages.backends.s3.wire import Request, Wire
from async_storages.backends.transport.http import Body
from async_storages.errors import FileNotFoundException

__all__ = ["Made", "ObjectWrites"]

_CONDITION = "If-None-Match"


@dataclass(frozen=True, slots=True)
class Made:
    """An object that a request made.

    Attributes:
        headers: The headers of the answer, or of the object if the answer was lost.
        etag: The object's ETag, without quotes. Empty if the answer has none.
        is_answered: True if the answer itself named the object. An object found after a lost answer may come from
            another client.
    """

    headers: Mapping[str, str] = field(repr=False)
    etag: str
    is_answered: bool = True


class ObjectWrites:
    """Sends the requests that make objects.

    Args:
        wire: Sends the requests.
        conditions: The server's treatment of conditions.
    """

    def __init__(self, wire: Wire, conditions: Conditions) -> None:
        self._wire = wire
        self._conditions = conditions

    async def send(
        self,
        kind: Conditional,
        request: Request,
        sent: Body,
        is_done_by: Callable[[Mapping[str, str]], bool],
        creation: Creation,
    ) -> Made:
        """Send a request until the server answers. If cancelled, wait for the result and delete the new object.

        Args:
            kind: The kind of the request.
            request: The request, without a condition.
            sent: The body of the request.
            is_done_by: Returns True if an object's headers show that the request made it.
            creation: The treatment of an existing object.

        Raises:
            FileExistsException: The key is taken.
            OperationNotSupportedException: The server refuses conditions.
        """
        if not creation.is_conditional:
            return await self._send(request, sent, is_done_by, creation)
        conditional = replace(request, headers={**request.headers, _CONDITION: "*"})
        try:
            return await self._send(conditional, sent, is_done_by, creation)
        except HeaderRefused as error:
            if error.header not in {"", _CONDITION.lower()}:
                raise
            if not error.header and self._conditions.is_honoured(request.bucket, kind):  # something else was refused
                raise
            if not creation.is_fresh:
                self._conditions.note_refusal(request.bucket, kind)
                raise refusal(_CONDITION) from error
        made = await self._send(request, sent, is_done_by, creation)
        self._conditions.note_refusal(request.bucket, kind)  # without the condition the request succeeded
        return made

    async def _send(
        self, request: Request, sent: Body, is_done_by: Callable[[Mapping[str, str]], bool], creation: Creation
    ) -> Made:
        async def send() -> Made:
            answer = await self._wire.exchange(request)
            etag = answer.headers.get("ETag") or xml_messages.found_text(answer.body, "ETag")
            return Made(answer.headers, etag.strip('"'))

        async def look(attempts: int | None) -> Made:
            headers = await self._head(request, attempts)
            return Made(headers, headers.get("ETag", "").strip('"'), is_answered=False)

        return await settled_if_cancelled(
            recover_lost_answer(send, sent, look=look, is_done=lambda made: is_done_by(made.headers)),
            is_without_effect=lambda: not sent.was_sent,
            undo=(lambda made: self.undo(request, made, creation)) if creation.is_fresh or creation.is_proof else None,
            within=self._wire.options.cleanup_timeout,
        )

    async def undo(self, request: Request, made: Made, creation: Creation) -> None:
        """Delete an object if it is surely the one that a request made.

        Args:
            request: The request that made it.
            made: The object, as far as it is known.
            creation: The way it was created.
        """
        if not creation.is_fresh and not (creation.is_proof and await self._is_still(request, made)):
            return
        try:
            await self._wire.exchange(Request(method="DELETE", bucket=request.bucket, key=request.key))
        except FileNotFoundException:  # some servers say so
            return

    async def _is_still(self, request: Request, made: Made) -> bool:
        """Return True if the object on the server is the one in the answer."""
        if not made.is_answered or not made.etag:
            return False
        try:
            found = await self._head(request)
        except FileNotFoundException:
            return False
        return found.get("ETag", "").strip('"') == made.etag

    async def _head(self, request: Request, attempts: int | None = None) -> Mapping[str, str]:
        head = Request(
            method="HEAD",
            bucket=request.bucket,
            key=request.key,
            headers=WITH_CHECKSUM,
            customer_key=request.customer_key,
        )
        return (await self._wire.exchange(head, attempts=attempts)).headers
