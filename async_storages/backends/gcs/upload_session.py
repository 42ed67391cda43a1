"""Uploads in one request, or part by part in a resumable session. Failed uploads leave no data.

Specified in the documentation of Cloud Storage: "Multipart uploads" (of the JSON API), "Resumable uploads".
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

from async_storages._tasks import offload
from async_storages.backends.buckets.server_errors import NoSuchUpload
from async_storages.backends.gcs.resources import StoredObject, parsed
from async_storages.backends.gcs.wire import Answer, Request, Wire
from async_storages.backends.transport.http import Body
from async_storages.errors import FileNotFoundException, StorageOperationException, StorageUnavailableException
from async_storages.sources import CHUNK_SIZE

__all__ = ["Md5", "UploadSession", "related_body"]

_PERSISTED = re.compile(r"bytes=0-(\d+)")


class Md5:
    """The MD5 of the given bytes. A thread hashes large pieces."""

    def __init__(self) -> None:
        self._hash = hashlib.md5(usedforsecurity=False)

    async def update(self, data: bytes) -> None:
        """Add bytes."""
        if len(data) <= CHUNK_SIZE:
            self._hash.update(data)
        else:
            await offload(self._hash.update, data)

    @property
    def base64(self) -> str:
        """Return the digest in the form of GCS."""
        return base64.b64encode(self._hash.digest()).decode("ascii")


def related_body(described: Mapping[str, Any], content: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an upload in one request (RFC 2387): the object's description and content."""
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(described)}\r\n"
        f"--{boundary}\r\nContent-Type: {described['contentType']}\r\n\r\n"
    )
    body = b"".join((head.encode(), content, f"\r\n--{boundary}--\r\n".encode()))
    return {"Content-Type": f"multipart/related; boundary={boundary}"}, body


class UploadSession:
    """One resumable upload. It knows its progress, resumes there, and can be aborted.

    Args:
        wire: Sends the requests.
        target: Path and query of the session. They are secret, as every client that knows them may upload.
        content_type: The type of the object.

    Attributes:
        position: The number of bytes that the server has.
        times_sent: The number of times that sending the current part has begun.
        was_sent: True once all bytes of the current part have left.
    """

    def __init__(self, wire: Wire, target: str, content_type: str) -> None:
        self._wire = wire
        self._target = target
        self._content_type = content_type
        self._body = wire.body(b"")
        self._earlier = (0, False)
        self.position = 0

    @property
    def times_sent(self) -> int:
        """See the class."""
        return self._earlier[0] + self._body.times_sent

    @property
    def was_sent(self) -> bool:
        """See the class."""
        return self._earlier[1] or self._body.was_sent

    async def send(self, part: bytes) -> None:
        """Upload a part that is not the last one.

        Raises:
            StorageUnavailableException: The request kept failing before another byte arrived.
            NoSuchUpload: The session does not exist any more.
            StorageOperationException: GCS treated the part as the last one, or lost earlier bytes.
        """
        if await self._send(part, "*") is not None:
            raise StorageOperationException("GCS took a part for the last one")

    async def finish(self, part: bytes, md5: str) -> StoredObject:
        """Upload the last part, which makes the object. Raises as `send` does.

        Args:
            part: The last part. It is not empty.
            md5: The MD5 of the whole content. The server refuses other bytes.
        """
        total = str(self.position + len(part))
        made = await self._send(part, total, {"X-Goog-Hash": f"md5={md5}"})
        if made is None:
            raise StorageOperationException("GCS has all of the upload, and makes nothing of it")
        return made

    async def _send(self, part: bytes, total: str, headers: Mapping[str, str] | None = None) -> StoredObject | None:
        """Send until the server has the part. Return the object if it was the last part."""
        retries = self._wire.options.retries
        begin, tries = self.position, retries.begin()
        self._body, self._earlier = self._wire.body(b""), (0, False)
        while True:
            before = self.position
            answer = await self._put(part[before - begin :], total, headers or {}) or await self._ask(total)
            if answer.status != 308:
                return parsed(answer.body, StoredObject.of)
            self.position = self._persisted(answer, begin, begin + len(part))
            if self.position == begin + len(part) and total == "*":
                return None
            if self.position > before:
                tries.succeed()
            elif not await tries.wait():
                raise StorageUnavailableException(f"GCS keeps having no more than {self.position} bytes")

    async def _put(self, rest: bytes, total: str, headers: Mapping[str, str]) -> Answer | None:
        """Send the bytes that the server lacks. Return None if no answer tells the server's position."""
        last = self.position + len(rest) - 1
        extent = f"bytes {self.position}-{last}/{total}" if rest else f"bytes */{total}"
        self._earlier, self._body = (self.times_sent, self.was_sent), self._wire.body(rest)
        try:
            return await self._exchange("PUT", {**headers, "Content-Range": extent}, self._body, attempts=1)
        except StorageUnavailableException:
            return None

    async def _ask(self, total: str) -> Answer:
        return await self._exchange("PUT", {"Content-Range": f"bytes */{total}"}, self._wire.body(b""))

    def _persisted(self, answer: Answer, begin: int, end: int) -> int:
        """Return the number of bytes that the server has. Raise if it lost bytes of an earlier part."""
        found = _PERSISTED.fullmatch(answer.headers.get("Range", ""))
        persisted = int(found[1]) + 1 if found else 0
        if not begin <= persisted <= end:
            raise StorageOperationException(f"GCS has {persisted} bytes, when it should have {begin} to {end}")
        return persisted

    async def cancel(self) -> None:
        """Abort the upload, so that the server deletes its bytes. A missing session is not an error."""
        try:
            await self._exchange("DELETE", {}, None, accepted=(499,))
        except NoSuchUpload:
            return

    async def _exchange(
        self,
        method: str,
        headers: Mapping[str, str],
        body: Body | None,
        *,
        accepted: tuple[int, ...] = (308,),
        attempts: int | None = None,
    ) -> Answer:
        request = Request(
            method=method,
            path=self._target,
            headers={"Content-Type": self._content_type, **headers},
            body=body,
            accepted=accepted,
        )
        try:
            return await self._wire.exchange(request, attempts=attempts)
        except FileNotFoundException as error:
            raise NoSuchUpload("no such upload: it was completed or given up, or has expired") from error
