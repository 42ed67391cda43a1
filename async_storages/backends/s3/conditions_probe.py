"""Tests of a server's conditions, with objects of one byte that are deleted again."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress

from async_storages._cleanup import begun, settled_if_cancelled
from async_storages.backends.buckets.server_errors import HeaderRefused, NoSuchUpload
from async_storages.backends.s3 import xml_messages
from async_storages.backends.s3.conditional_writes import Conditional, Support
from async_storages.backends.s3.sigv4 import encode_path
from async_storages.backends.s3.wire import Answer, Request, Wire
from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.errors import FileExistsException, FileNotFoundException

__all__ = ["ConditionsProbe"]

_CONDITION = {"If-None-Match": "*"}
_OTHER_VERSION = {"x-amz-copy-source-if-match": '"00000000000000000000000000000000"'}


class ConditionsProbe:
    """Tests requests in one folder of a bucket.

    Args:
        wire: Sends the requests.
        bucket: The bucket.
        folder: The folder of the objects: empty, or with a slash at its end.
        headers: The headers that new objects must have, such as the storage class.
    """

    def __init__(self, wire: Wire, bucket: str, folder: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._wire = wire
        self._bucket = bucket
        self._folder = folder
        self._headers = dict(headers or {})

    async def creation(self, request: Conditional) -> Support:
        """Test a request with ``If-None-Match: *`` on an existing object.

        A cancelled test still runs to its end.

        Raises:
            StorageException: The request failed for another reason.
        """
        found = self._creation(request)  # the server may still work on a request that was cancelled
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
        """Test a copy with ``x-amz-copy-source-if-match`` of another version. Raises as `creation` does."""
        async with self._object() as source, self._object() as key:
            return await _judged(self._copy(source, key, _OTHER_VERSION))

    async def _complete(self, key: str) -> Support:
        async with begun(self._begin(key), lambda upload: self._abort(key, upload), within=self._within) as upload:
            part = await self._send("PUT", key, {"partNumber": "1", **upload}, b"2")
            body = xml_messages.complete_multipart_body([UploadedPart(1, part.headers.get("ETag", ""))])
            support = await _judged(self._send("POST", key, upload, body, _CONDITION, can_fail_late=True))
        if support is not Support.IGNORED:  # else it was completed
            await self._abort(key, upload)
        return support

    async def _begin(self, key: str) -> Mapping[str, str]:
        answer = await self._send("POST", key, {"uploads": ""}, headers=self._headers)
        return {"uploadId": xml_messages.parse_text(answer.body, "UploadId")}

    async def _abort(self, key: str, upload: Mapping[str, str]) -> None:
        with suppress(FileNotFoundException, NoSuchUpload):
            await self._send("DELETE", key, upload)

    @asynccontextmanager
    async def _object(self) -> AsyncGenerator[str]:
        """Return the key of an object that exists while the block runs."""
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
        return await self._send("PUT", key, None, b"", headers, can_fail_late=True)

    async def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        can_fail_late: bool = False,
    ) -> Answer:
        body = None if method == "DELETE" else self._wire.body(content or b"")
        request = Request(
            method=method,
            bucket=self._bucket,
            key=key,
            query=query or {},
            headers=headers or {},
            body=body,
            can_fail_late=can_fail_late,
        )
        return await self._wire.exchange(request)


async def _judged(sending: Awaitable[Answer]) -> Support:
    """Return the server's treatment of a condition, from the result of a request whose condition is false."""
    try:
        await sending
    except HeaderRefused:
        return Support.REFUSED
    except FileExistsException:  # 412, of either condition
        return Support.HONOURED
    return Support.IGNORED
