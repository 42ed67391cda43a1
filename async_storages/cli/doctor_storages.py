"""Try a storage: use each permission on files made for the trial, and delete them again."""

import secrets
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from async_storages._cleanup import clean_up
from async_storages.cli import doctor_buckets
from async_storages.cli.findings import Finding, Level
from async_storages.cli.http_requests import Answer, request
from async_storages.cli.remedies import remedy_for
from async_storages.content import Content
from async_storages.errors import OperationNotSupportedException, StorageException
from async_storages.ids import FileId
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsCopy, SupportsList, SupportsPing, SupportsPresign

__all__ = ["examine_storage"]

_CONTENT = b"written by async-storages doctor, which removes it again\n"
_METADATA = {"made-by": "async-storages-doctor"}
_PARTS = 9 << 20
"""Bytes that are sent in parts."""

_WITHIN = 30.0
"""Seconds in which the objects of a trial are removed when it is stopped."""

_MEASUREMENTS = 5


async def examine_storage(storage: Storage) -> list[Finding]:
    """Try a storage. A failure becomes a finding. Steps that do not depend on the failed one run all the same.

    It sends about 20 MiB to an S3 bucket, 9 MiB to a GCS bucket, and a few bytes to other storages. Its files are in a
    folder of their own, ``async-storages-doctor-…/``. It deletes them, also when it is cancelled.
    """
    findings = await doctor_buckets.examine_access(storage)
    if any(each.check == "credentials" and each.level is Level.PROBLEM for each in findings):
        return findings
    trial = _Trial(storage)
    if isinstance(storage, SupportsPing) and not await trial.step("reach", storage.ping):
        return [*findings, *trial.findings]
    if storage.read_only:
        trial.findings.append(Finding("write", "opened with read_only=True: nothing is written", Level.NOTE))
        await trial.list()
    else:
        async with trial.removed_afterwards():
            await trial.run()
    return [*findings, *trial.findings, *await doctor_buckets.examine_settings(storage)]


@dataclass(slots=True)
class _Trial:
    """The trial of one storage."""

    storage: Storage
    findings: list[Finding] = field(default_factory=list)
    folder: str = field(default_factory=lambda: f"async-storages-doctor-{secrets.token_hex(8)}")
    made: list[FileId] = field(default_factory=list)

    async def run(self) -> None:
        """Try everything that the storage can do."""
        if not await self.step("write", self._write):
            return
        await self.step("read", self._read)
        await self.step("stat", self._stat)
        await self.list()
        if isinstance(self.storage, SupportsCopy):
            await self.step("copy", self._copy)
        if self._is_bucket:
            await self.step("multipart upload", self._write_parts)
        if isinstance(self.storage, SupportsPresign) and self._is_bucket:
            await self.step("presigned GET", self._get_presigned)
            await self.step("presigned PUT", self._put_presigned)
        await self._measure()
        await self.step("delete", self._delete)

    async def step(self, check: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Do one step. Returns False if it failed."""
        try:
            found = await work()
        except OperationNotSupportedException as error:
            self.findings.append(Finding(check, error.reason, Level.NOTE))
            return False
        except StorageException as error:
            remedy = remedy_for(self.storage, check, error)
            self.findings.append(Finding(check, str(error), Level.PROBLEM, remedy))
            return False
        self.findings.append(Finding(check, str(found) if isinstance(found, str) else "ok"))
        return True

    @property
    def _is_bucket(self) -> bool:
        return self.storage.scheme in {"s3", "gs"}

    def _id(self, name: str) -> FileId:
        return FileId(self.storage.scheme, self.storage.bucket, f"{self.storage.prefix}{self.folder}/{name}")

    async def _store(self, name: str, content: bytes) -> FileId:
        key = name if self.storage.chooses_ids else self._id(name)
        if isinstance(key, FileId):
            self.made.append(key)  # before, as nobody may learn that it was written
        async with Content(content, filename=name, content_type="text/plain", metadata=_METADATA) as body:
            written = self.storage.identify(await self.storage.write(body, key))
        if written not in self.made:
            self.made.append(written)
        return written

    async def _write(self) -> None:
        await self._store("probe.txt", _CONTENT)

    async def _read(self) -> None:
        if await self.storage.read(self.made[0]) != _CONTENT:
            raise StorageException("other bytes came back")

    async def _stat(self) -> None:
        info = await self.storage.stat(self.made[0])
        if info.file_size != len(_CONTENT):
            raise StorageException(f"it tells {info.file_size} bytes, and {len(_CONTENT)} were written")
        if _METADATA.items() - {key.lower(): value for key, value in info.metadata.items()}.items():
            raise StorageException("the metadata that were written are missing")

    async def list(self) -> None:
        """Try a listing."""
        if isinstance(self.storage, SupportsList):
            await self.step("list", self._list)

    async def _list(self) -> None:
        found = [each async for each in self._listed()]
        if self.made and self.made[0] not in found:
            raise StorageException("a file that was written is not listed")

    async def _listed(self) -> AsyncGenerator[FileId]:
        listing: Any = self.storage
        async with aclosing(listing.list(f"{self.folder}/")) as infos:
            async for info in infos:
                yield self.storage.identify(info.file_id)

    async def _copy(self) -> None:
        copying: Any = self.storage
        self.made.append(self._id("copy.txt"))
        await copying.copy(self.made[0], self._id("copy.txt"))
        if await self.storage.read(self._id("copy.txt")) != _CONTENT:
            raise StorageException("other bytes came back of a copy")

    async def _write_parts(self) -> None:
        stored = await self._store("parts.bin", bytes(_PARTS))
        if (size := (await self.storage.stat(stored)).file_size) != _PARTS:
            raise StorageException(f"it tells {size} bytes, and {_PARTS} were written in parts")

    async def _get_presigned(self) -> None:
        [url] = await self.storage.presigned_urls([self.made[0]], 300)
        answer = await request("GET", url)
        _require_success(answer)
        if answer.body != _CONTENT:
            raise StorageException("other bytes came from a presigned URL")

    async def _put_presigned(self) -> None:
        target = self._id("put.txt")
        self.made.append(target)
        [url] = await self.storage.presigned_urls([target], 300, "PUT", content_type="text/plain")
        headers = self.storage.presigned_headers(content_type="text/plain")
        _require_success(await request("PUT", url, headers, _CONTENT))
        if await self.storage.read(target) != _CONTENT:
            raise StorageException("other bytes came back of what a presigned URL took")

    async def _measure(self) -> None:
        times = []
        for _ in range(_MEASUREMENTS):
            began = time.perf_counter()
            try:
                await self.storage.stat(self.made[0])
            except StorageException:
                return
            times.append(time.perf_counter() - began)
        self.findings.append(Finding("latency", f"{statistics.median(times) * 1000:.1f} ms for a stat"))

    async def _delete(self) -> None:
        for each in dict.fromkeys(self.made):
            await self.storage.delete(each)
        if await self.storage.exists(self.made[0]):
            raise StorageException("a file that was deleted is still there")
        self.made.clear()

    @asynccontextmanager
    async def removed_afterwards(self) -> AsyncGenerator[None]:
        """Delete all files that the block has made, also if it fails."""
        try:
            yield
        except BaseException as error:
            await clean_up(self._remove_all(), error, within=_WITHIN, what=f"the folder {self.folder}")
            raise
        if self.made:
            try:
                await self._remove_all()
            except StorageException as error:
                remedy = f"remove {self._id('')} by hand"
                self.findings.append(Finding("clean up", str(error), Level.PROBLEM, remedy))

    async def _remove_all(self) -> None:
        await self.storage.delete_many(dict.fromkeys(self.made))


def _require_success(answer: Answer) -> None:
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise StorageException(f"the server answered {answer.status} to a presigned URL")
