"""Tests of an S3 server's abilities, for ``async-storages doctor --s3``. They delete their objects again."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from async_storages._cleanup import begun
from async_storages.backends.buckets.server_errors import RangeBeyondEnd
from async_storages.backends.s3 import xml_messages
from async_storages.backends.s3.conditions_probe import ConditionsProbe
from async_storages.backends.s3.wire import Answer, Request
from async_storages.errors import StorageException, StorageUnavailableException

if TYPE_CHECKING:
    from async_storages.backends.s3.storage import S3Storage

__all__ = ["Capability", "capabilities"]

_PART = 5 << 20
_CRC32 = "NhCmhg=="  # of hello
_WRONG_CRC32 = "AAAAAA=="


@dataclass(frozen=True, slots=True)
class Capability:
    """An ability that not all servers have.

    Attributes:
        name: The ability, such as ``"ranges"``.
        found: The server's behaviour in a word or two, or the reason if the test failed.
        is_failure: True if the test failed.
    """

    name: str
    found: str
    is_failure: bool = False


async def capabilities(storage: "S3Storage") -> list[Capability]:
    """Test all abilities, one after the other. This sends about 11 MiB.

    Args:
        storage: The storage of the bucket. The test objects are below its prefix.

    Raises:
        StorageUnavailableException: The server does not answer.
    """
    trial = _Trial(storage)
    conditions = trial.conditions
    tried: dict[str, Callable[[], Awaitable[str]]] = {
        "If-None-Match on PUT": lambda: conditions.creation("put"),
        "If-None-Match on copy": lambda: conditions.creation("copy"),
        "If-None-Match on complete": lambda: conditions.creation("complete"),
        "x-amz-copy-source-if-match": conditions.copy_source,
        "checksums (CRC32)": trial.checksums,
        "presigned forms": trial.forms,
        "size limits of forms": trial.form_sizes,
        "parts": trial.parts,
        "encoding-type": trial.encoding,
        "listing after write": trial.listing,
        "ranges": trial.ranges,
        "suffix of an empty object": trial.empty_suffix,
    }
    return [await _tried(name, work) for name, work in tried.items()]


async def _tried(name: str, work: Callable[[], Awaitable[str]]) -> Capability:
    try:
        return Capability(name, str(await work()))
    except StorageUnavailableException:
        raise
    except StorageException as error:
        return Capability(name, error.reason, is_failure=True)


class _Trial:
    """Tests of one bucket, except those of conditions."""

    def __init__(self, storage: "S3Storage") -> None:
        self._storage = storage
        self._wire = storage._client.wire  # noqa: SLF001 - of the same house
        self._bucket = str(storage.bucket)
        self._folder = storage.prefix
        headers = storage._object_headers  # noqa: SLF001
        self.conditions = ConditionsProbe(self._wire, self._bucket, self._folder, headers)

    async def checksums(self) -> str:
        async with self._key() as key:
            await self._put(key, b"hello", {"x-amz-checksum-crc32": _CRC32})
            try:
                await self._put(key, b"hello", {"x-amz-checksum-crc32": _WRONG_CRC32}, attempts=1)
            except StorageUnavailableException:
                raise
            except StorageException:
                return "checked"
            return "ignored"

    async def forms(self) -> str:
        return "yes" if await self._posted(b"hello", max_size=5) < 300 else "no"

    async def form_sizes(self) -> str:
        return "checked" if await self._posted(b"hello!", max_size=5) >= 400 else "ignored"

    async def _posted(self, content: bytes, max_size: int) -> int:
        """Return the status of the answer to a form."""
        async with self._key() as key:
            form = await self._storage.presign_post(self._id(key), max_size=max_size, content_type="text/plain")
            return await self._wire.post_form(form.url, *_form_body(form.fields, content))

    async def parts(self) -> str:
        try:
            await self._upload([bytes(_PART), bytes(_PART + (1 << 20)), b"end"])
        except StorageUnavailableException:
            raise
        except StorageException:
            await self._upload([bytes(_PART), b"end"])
            return "of one length"
        return "of any length"

    async def _upload(self, parts: list[bytes]) -> None:
        client = self._storage._client  # noqa: SLF001
        async with self._key() as key:
            upload = begun(
                client.create_multipart_upload(self._bucket, key, headers={}, checksum=False),
                lambda upload_id: client.abort_multipart_upload(self._bucket, key, upload_id),
                within=self._wire.options.cleanup_timeout,
            )
            async with upload as upload_id:
                sent = [
                    await client.upload_part(self._bucket, key, upload_id, number, part, checksum=False)
                    for number, part in enumerate(parts, 1)
                ]
                await client.complete_multipart_upload(self._bucket, key, upload_id, sent)

    async def encoding(self) -> str:
        answer = await self._list(self._folder + "async-storages-probe/")
        return "honoured" if xml_messages.found_text(answer.body, "EncodingType") == "url" else "ignored"

    async def listing(self) -> str:
        async with self._key() as key:
            await self._put(key, b"hello")
            listed = xml_messages.parse_listing((await self._list(key)).body)
            return "yes" if [found.key for found in listed.objects] == [key] else "late"

    async def ranges(self) -> str:
        async with self._key() as key:
            await self._put(key, b"hello")
            answer = await self._get(key, "bytes=1-2")
            return "yes" if answer.body == b"el" else "ignored"

    async def empty_suffix(self) -> str:
        async with self._key() as key:
            await self._put(key, b"")
            try:
                answer = await self._get(key, "bytes=-5")
            except RangeBeyondEnd:
                return "416"
            return "206" if "Content-Range" in answer.headers else "200"

    # ---- requests

    def _id(self, key: str) -> str:
        return f"{self._storage.scheme}:{self._bucket}/{key}"

    @asynccontextmanager
    async def _key(self) -> AsyncGenerator[str]:
        """Return a key for the block. Its object is deleted afterwards."""
        key = f"{self._folder}async-storages-probe/{secrets.token_hex(16)}"

        async def chosen() -> str:
            return key

        def delete(key: str) -> Coroutine[Any, Any, None]:
            return self._storage._client.delete_object(self._bucket, key)  # noqa: SLF001

        async with begun(chosen(), delete, within=self._wire.options.cleanup_timeout):
            yield key
        await delete(key)

    async def _put(
        self, key: str, content: bytes, headers: Mapping[str, str] | None = None, *, attempts: int | None = None
    ) -> None:
        request = Request(
            method="PUT", bucket=self._bucket, key=key, headers=headers or {}, body=self._wire.body(content)
        )
        await self._wire.exchange(request, attempts=attempts)

    async def _get(self, key: str, wanted: str) -> Answer:
        return await self._wire.exchange(Request(method="GET", bucket=self._bucket, key=key, headers={"Range": wanted}))

    async def _list(self, prefix: str) -> Answer:
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        return await self._wire.exchange(Request(method="GET", bucket=self._bucket, query=query))


def _form_body(fields: Mapping[str, str], content: bytes) -> tuple[str, bytes]:
    """Return type and bytes of a form, as browsers send it (RFC 7578)."""
    boundary = secrets.token_hex(16)
    disposition = f"--{boundary}\r\nContent-Disposition: form-data; name="
    before = "".join(f'{disposition}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    file = f'{disposition}"file"; filename="probe"\r\n\r\n'
    body = before.encode() + file.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body
