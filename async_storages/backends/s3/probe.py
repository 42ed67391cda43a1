"""Trying what a server makes of conditions, on objects of a byte that are made for it and removed again."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress

from async_storages._cleanup import begun, settled_if_cancelled
from async_storages.backends.buckets.errors import HeaderRefused, NoSuchUpload
from async_storages.backends.s3 import answers
from async_storages.backends.s3.answers import CompletedPart
from async_storages.backends.s3.conditions import Conditional, Support
from async_storages.backends.s3.sigv4 import encode_path
from async_storages.backends.s3.wire import Answer, Request, Wire
from async_storages.errors import FileExistsException, FileNotFoundException

__all__ = ["ConditionsProbe"]

_CONDITION = {"If-None-Match": "*"}
_OTHER_VERSION = {"x-amz-copy-source-if-match": '"00000000000000000000000000000000"'}


class ConditionsProbe:
    """Tries requests in one folder of a bucket.

    Args:
        wire: The way to the server.
        bucket: Where.
        folder: What the keys begin with: empty, or with a slash at its end.
        headers: What objects must come with, such as their storage class.
    """

    def __init__(self, wire: Wire, bucket: str, folder: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._wire = wire
        self._bucket = bucket
        self._folder = folder
        self._headers = dict(headers or {})

    async def creation(self, request: Conditional) -> Support:
        """Find out what becomes of ``If-None-Match: *`` where an object is there.

        It goes on to its end when it is cancelled.

        Raises:
            StorageException: The request fails for another reason.
        """
        found = self._creation(request)  # a server may do what it was asked after what was asked is removed
        return await settled_if_cancelled(found, is_without_effect=lambda: False, undo=None, within=self._within)

    async def _creation(self, request: Conditional) -> Support:
        async with self._object() as key:
            if request == "put":
                return await _judged(self._put(key, b"2", _CONDITION))
            if request == "complete":
                return await self._complete(key)
            async with self._object() as source:
                return await _judged(self._copy(source, key, _CONDITION))

    async def copy_source(self) -> Support:
        """Find out what becomes of ``x-amz-copy-source-if-match`` that names another version; raises as `creation`."""
        async with self._object() as source, self._object() as key:
            return await _judged(self._copy(source, key, _OTHER_VERSION))

    async def _complete(self, key: str) -> Support:
        async with begun(self._begin(key), lambda upload: self._abort(key, upload), within=self._within) as upload:
            part = await self._send("PUT", key, {"partNumber": "1", **upload}, b"2")
            body = answers.complete_multipart_body([CompletedPart(1, part.headers.get("ETag", ""))])
            support = await _judged(self._send("POST", key, upload, body, _CONDITION, may_fail_late=True))
        if support is not Support.IGNORED:  # else it was completed
            await self._abort(key, upload)
        return support

    async def _begin(self, key: str) -> Mapping[str, str]:
        answer = await self._send("POST", key, {"uploads": ""}, headers=self._headers)
        return {"uploadId": answers.parse_text(answer.body, "UploadId")}

    async def _abort(self, key: str, upload: Mapping[str, str]) -> None:
        with suppress(FileNotFoundException, NoSuchUpload):
            await self._send("DELETE", key, upload)

    @asynccontextmanager
    async def _object(self) -> AsyncGenerator[str]:
        """The key of an object that is there while the block runs."""
        async with begun(self._made(), self._delete, within=self._within) as key:
            yield key
        await self._delete(key)

    async def _made(self) -> str:
        key = f"{self._folder}async-storages-probe/{secrets.token_hex(16)}"
        await self._put(key, b"1")
        return key

    @property
    def _within(self) -> float:
        return self._wire.options.cleanup_timeout

    async def _delete(self, key: str) -> None:
        with suppress(FileNotFoundException):  # some servers say so
            await self._send("DELETE", key)

    async def _put(self, key: str, content: bytes, condition: Mapping[str, str] | None = None) -> Answer:
        return await self._send("PUT", key, None, content, {**self._headers, **(condition or {})})

    async def _copy(self, source: str, key: str, condition: Mapping[str, str]) -> Answer:
        copied = {"x-amz-copy-source": f"{encode_path(self._bucket)}/{encode_path(source)}"}
        headers = {**self._headers, **copied, **condition}
        return await self._send("PUT", key, None, b"", headers, may_fail_late=True)

    async def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        may_fail_late: bool = False,
    ) -> Answer:
        body = None if method == "DELETE" else self._wire.body(content or b"")
        request = Request(
            method=method,
            bucket=self._bucket,
            key=key,
            query=query or {},
            headers=headers or {},
            body=body,
            may_fail_late=may_fail_late,
        )
        return await self._wire.exchange(request)


async def _judged(sending: Awaitable[Answer]) -> Support:
    """Tell from the outcome of a request whose condition does not hold."""
    try:
        await sending
    except HeaderRefused:
        return Support.REFUSED
    except FileExistsException:  # 412, whose ever the condition is
        return Support.HONOURED
    return Support.IGNORED
