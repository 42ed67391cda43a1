"""Requests that make objects: with conditions, recognised when their answers are lost, undone when they are cancelled.

What is undone is only what such a request has made itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from async_storages._cleanup import settled_if_cancelled
from async_storages.backends.buckets.errors import HeaderRefused
from async_storages.backends.buckets.lost_answers import heard
from async_storages.backends.s3 import answers
from async_storages.backends.s3.conditions import Conditional, Conditions, Creation, refusal
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
        headers: Of the answer, or of the object where the answer was lost.
        etag: The object's, without quotes; empty if it was not told.
        is_answered: Whether the answer itself told of it: what is found when an answer was lost may be somebody else's.
    """

    headers: Mapping[str, str]
    etag: str
    is_answered: bool = True


class ObjectWrites:
    """Sends what makes objects.

    Args:
        wire: The way to the server.
        conditions: What it makes of conditions.
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
        """Send a request until answered; if cancelled, wait to see what became of it, and remove what it made.

        Args:
            kind: Of the request.
            request: What is sent, without a condition.
            sent: Its body.
            is_done_by: Whether the headers of the object show that it is the one the request makes.
            creation: How it treats an object that is there.

        Raises:
            FileExistsException: There is one.
            OperationNotSupportedException: The server refuses conditions.
        """
        if not creation.condition:
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
        self._conditions.note_refusal(request.bucket, kind)  # it was the condition: without it all is well
        return made

    async def _send(
        self, request: Request, sent: Body, is_done_by: Callable[[Mapping[str, str]], bool], creation: Creation
    ) -> Made:
        async def send() -> Made:
            answer = await self._wire.exchange(request)
            etag = answer.headers.get("ETag") or answers.found_text(answer.body, "ETag")
            return Made(answer.headers, etag.strip('"'))

        async def look(attempts: int | None) -> Made:
            headers = await self._head(request, attempts)
            return Made(headers, headers.get("ETag", "").strip('"'), is_answered=False)

        return await settled_if_cancelled(
            heard(send, sent, look=look, is_done=lambda made: is_done_by(made.headers)),
            is_without_effect=lambda: not sent.was_sent,
            undo=(lambda made: self.undo(request, made, creation)) if creation.is_fresh or creation.is_proof else None,
            within=self._wire.options.cleanup_timeout,
        )

    async def undo(self, request: Request, made: Made, creation: Creation) -> None:
        """Remove an object, if it is surely what a request has made.

        Args:
            request: Names it.
            made: What is known of it.
            creation: How it was created.
        """
        if not creation.is_fresh and not (creation.is_proof and await self._is_still(request, made)):
            return
        try:
            await self._wire.exchange(Request(method="DELETE", bucket=request.bucket, key=request.key))
        except FileNotFoundException:  # some servers say so
            return

    async def _is_still(self, request: Request, made: Made) -> bool:
        """Whether what the server said it had made is what is there."""
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
