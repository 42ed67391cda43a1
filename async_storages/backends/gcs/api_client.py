"""The operations of GCS. Each has a method, which sends the request and interprets the answer.

The client knows buckets and keys, not file ids. Every body is bytes, so that every request can be repeated.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any

from async_storages._cleanup import begun, clean_up, settled_if_cancelled
from async_storages.backends.buckets.download import received
from async_storages.backends.buckets.lost_answers import SendProgress, recover_lost_answer
from async_storages.backends.buckets.part_splitter import PartSplitter
from async_storages.backends.buckets.server_errors import FileChanged
from async_storages.backends.gcs.download import GCSDownload
from async_storages.backends.gcs.error_responses import Conflict, NoSuchBucket
from async_storages.backends.gcs.file_info import is_made_of, metadata_patch
from async_storages.backends.gcs.resources import Page, Rewritten, StoredObject, parsed
from async_storages.backends.gcs.upload_session import Md5, UploadSession, related_body
from async_storages.backends.gcs.wire import JSON, Request, Wire, bucket_path, local_target, object_path, upload_path
from async_storages.backends.transport.response import Response
from async_storages.errors import (
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
)
from async_storages.sources import CHUNK_SIZE

__all__ = ["GCSApiClient"]

type Described = Mapping[str, Any]
"""The properties of a new object besides name and content: ``contentType``, ``metadata``, ``storageClass`` …"""

_RESOURCE = {"projection": "noAcl"}


class GCSApiClient:
    """Sends GCS's requests to one server.

    Args:
        wire: Sends the requests.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    # ---- uploads

    async def insert(
        self,
        bucket: str,
        key: str,
        described: Described,
        content: bytes,
        *,
        query: Mapping[str, str] | None = None,
        overwrite: bool,
    ) -> StoredObject:
        """Store an object in one request, and return its description.

        Args:
            bucket: The bucket.
            key: The key.
            described: The properties of the object, at least its ``contentType``.
            content: The whole content.
            query: Further parameters: ACL, encryption key.
            overwrite: False refuses a key that is taken.

        Raises:
            FileExistsException: The key is taken and `overwrite` is False.
            ChecksumMismatchException: The server received other bytes, and did not store them.
        """
        md5 = Md5()
        await md5.update(content)
        headers, body = related_body({**described, "name": key, "md5Hash": md5.base64}, content)
        sent = self.wire.body(body)
        request = Request(
            method="POST",
            path=upload_path(bucket),
            query={"uploadType": "multipart", **_RESOURCE, **_condition(overwrite=overwrite), **(query or {})},
            headers=headers,
            body=sent,
        )

        async def send() -> StoredObject:
            with _in_bucket():
                return parsed((await self.wire.exchange(request)).body, StoredObject.of)

        def is_done(found: StoredObject) -> bool:
            return is_made_of(found, described, len(content), {"md5Hash": md5.base64})

        made = await self._settled(bucket, key, send, sent, is_done, overwrite=overwrite)
        return await self._checked(bucket, made, md5.base64)

    async def upload(
        self,
        bucket: str,
        key: str,
        described: Described,
        parts: PartSplitter,
        *,
        query: Mapping[str, str] | None = None,
        overwrite: bool,
    ) -> StoredObject:
        """Store an object of any size, part by part in a session. The arguments are the same as for `insert`.

        Raises:
            Exception: The error of `parts` or of a request. The session is then aborted, also when cancelled. If the
                abort fails too, the first error is raised, and GCS deletes the session after a week.
        """
        md5, size = Md5(), 0
        async with self._begun(bucket, key, described, query or {}, overwrite=overwrite) as session:
            while True:
                part = await parts.next_part()
                await md5.update(part)
                size += len(part)
                if parts.has_ended:
                    break
                await session.send(part)
            made = await self._settled(
                bucket,
                key,
                lambda: session.finish(part, md5.base64),
                session,
                lambda found: is_made_of(found, described, size, {"md5Hash": md5.base64}),
                overwrite=overwrite,
            )
            return await self._checked(bucket, made, md5.base64)

    def _begun(
        self, bucket: str, key: str, described: Described, query: Mapping[str, str], *, overwrite: bool
    ) -> AbstractAsyncContextManager[UploadSession]:
        """Return a session. Abort it if the block fails."""
        request = Request(
            method="POST",
            path=upload_path(bucket),
            query={"uploadType": "resumable", **_RESOURCE, **_condition(overwrite=overwrite), **query},
            headers={**JSON, "X-Upload-Content-Type": described["contentType"]},
            body=self.wire.json({**described, "name": key}),
        )

        async def begin() -> UploadSession:
            with _in_bucket():
                answer = await self.wire.exchange(request)
            return UploadSession(self.wire, local_target(answer.headers.get("Location", "")), described["contentType"])

        return begun(begin(), lambda session: session.cancel(), within=self.wire.options.cleanup_timeout)

    async def _settled(
        self,
        bucket: str,
        key: str,
        send: Callable[[], Awaitable[StoredObject]],
        sent: SendProgress,
        is_done: Callable[[StoredObject], bool],
        *,
        overwrite: bool,
    ) -> StoredObject:
        """Send a request that makes an object. If cancelled, wait for the result and delete a new object.

        Args:
            bucket: The bucket.
            key: The key.
            send: Sends the request.
            sent: The progress of sending it.
            is_done: Returns True if an object is the one that the request makes. Used if no answer comes.
            overwrite: False if the request makes a new object, or none.
        """
        return await settled_if_cancelled(
            recover_lost_answer(
                send, sent, look=lambda attempts: self.find(bucket, key, attempts=attempts), is_done=is_done
            ),
            is_without_effect=lambda: not sent.was_sent,
            undo=None if overwrite else lambda made: self.delete(bucket, key, made.generation),
            within=self.wire.options.cleanup_timeout,
        )

    async def _checked(self, bucket: str, made: StoredObject, md5: str) -> StoredObject:
        """Return the object, or delete it again if its MD5 differs from the MD5 of the sent bytes."""
        if made.md5 in {None, md5}:
            return made
        error = ChecksumMismatchException(f"md5 was sent as {md5}, and stored as {made.md5}")
        removing = self.delete(bucket, made.key, made.generation)
        await clean_up(removing, error, within=self.wire.options.cleanup_timeout)
        raise error

    # ---- objects

    async def find(self, bucket: str, key: str, *, attempts: int | None = None) -> StoredObject:
        """Return the description of an object. Raises FileNotFoundException if the object does not exist."""
        request = Request(method="GET", path=object_path(bucket, key), query=_RESOURCE)
        return parsed((await self.wire.exchange(request, attempts=attempts)).body, StoredObject.of)

    def read(
        self, bucket: str, key: str, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of an object, or of one range of it.

        Args:
            bucket: The bucket.
            key: The key.
            offset: The first byte. A negative offset counts from the end.
            length: The largest number of bytes, at least 1. None reads to the end. Must be None with a negative offset.
            chunk_size: The largest size of a chunk in bytes.

        Raises:
            FileNotFoundException: There is no such object.
            RangeBeyondEnd: The object is shorter.
            StorageException: As for `async_storages.backends.buckets.download.received`.
        """
        download, path = GCSDownload(offset, length), object_path(bucket, key)

        def ask() -> Awaitable[Response]:
            request = Request(method="GET", path=path, query=download.query(), headers=download.headers())
            return self.wire.open(request)

        retries, slots = self.wire.options.retries, self.wire.download_slots
        return received(download, ask, retries=retries, chunk_size=chunk_size, slots=slots)

    async def delete(self, bucket: str, key: str, generation: str | None = None) -> None:
        """Delete an object, or one generation of it. A missing object is not an error.

        A versioned bucket does not keep a deleted generation.
        """
        query = {} if generation is None else {"generation": generation}
        with suppress(FileNotFoundException):
            await self.wire.exchange(Request(method="DELETE", path=object_path(bucket, key), query=query))

    async def set_metadata(self, bucket: str, key: str, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata of one version.

        Raises:
            FileNotFoundException: There is no such object.
            FileChanged: Other clients keep changing the object.
        """
        for _ in range(self.wire.options.retries.attempts):
            found = await self.find(bucket, key)
            if found.metadata == metadata:  # also after a lost answer
                return
            request = Request(
                method="PATCH",
                path=object_path(bucket, key),
                query={
                    **_RESOURCE,
                    "ifGenerationMatch": found.generation,
                    "ifMetagenerationMatch": found.metageneration,
                },
                headers=JSON,
                body=self.wire.json({"metadata": metadata_patch(found, metadata)}),
            )
            with suppress(FileExistsException, Conflict):
                await self.wire.exchange(request)
                return
        raise FileChanged("others keep changing the file: try again later")

    async def copy(
        self,
        bucket: str,
        source: StoredObject,
        key: str,
        described: Described,
        *,
        query: Mapping[str, str] | None = None,
        overwrite: bool,
    ) -> None:
        """Copy one version of an object within the bucket on the server, in one or more steps.

        Args:
            bucket: The bucket of the source and the copy.
            source: The version to copy.
            key: The key of the copy.
            described: The properties of the copy, besides the content.
            query: Further parameters, as for `insert`. Their names begin with ``destination``.
            overwrite: False refuses a key that is taken.

        Raises:
            FileExistsException: The key is taken and `overwrite` is False.
            FileNotFoundException: The source does not exist any more.
            FileChanged: The source has another version by now.
        """
        asked = {
            **_RESOURCE,
            **_condition(overwrite=overwrite),
            "ifSourceGenerationMatch": source.generation,
            **(query or {}),
        }
        checksums = {name: source.resource.get(name) for name in ("md5Hash", "crc32c")}
        sent = self.wire.json(described)
        request = Request(
            method="POST",
            path=f"{object_path(bucket, source.key)}/rewriteTo{object_path(bucket, key).removeprefix('/storage/v1')}",
            query=asked,
            headers=JSON,
            body=sent,
        )

        async def send() -> StoredObject:
            while True:
                done = parsed((await self.wire.exchange(request)).body, Rewritten.of)
                if done.made is not None:
                    return done.made
                asked["rewriteToken"] = str(done.token)

        def is_done(found: StoredObject) -> bool:
            return is_made_of(found, described, source.size, checksums)

        try:
            await self._settled(bucket, key, send, sent, is_done, overwrite=overwrite)
        except FileExistsException as error:
            if overwrite or await self._is_replaced(bucket, source):
                raise FileChanged("the file was replaced while it was copied") from error
            raise

    async def _is_replaced(self, bucket: str, source: StoredObject) -> bool:
        """Return True if the source's precondition failed. The answer does not tell which precondition failed."""
        return (await self.find(bucket, source.key)).generation != source.generation

    async def list(
        self, bucket: str, prefix: str, token: str | None = None, *, most: int = 1000, attempts: int | None = None
    ) -> Page:
        """Return one page of the objects whose key begins with `prefix`, sorted, up to `most` of them, 1 to 1000."""
        query = {**_RESOURCE, "prefix": prefix, "maxResults": str(most)}
        if token is not None:
            query["pageToken"] = token
        with _in_bucket():
            request = Request(method="GET", path=f"{bucket_path(bucket)}/o", query=query)
            return parsed((await self.wire.exchange(request, attempts=attempts)).body, Page.of)


def _condition(*, overwrite: bool) -> Mapping[str, str]:
    return {} if overwrite else {"ifGenerationMatch": "0"}


@contextmanager
def _in_bucket() -> Iterator[None]:
    """Translate a missing file into a missing bucket, for requests that name no object."""
    try:
        yield
    except FileNotFoundException as error:
        raise NoSuchBucket("no such bucket") from error
