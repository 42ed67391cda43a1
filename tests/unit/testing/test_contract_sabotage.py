"""The contract notices every way in which a storage can be wrong, one at a time.

Each class below is a storage with a single defect, and names the test of the contract that is to fail because of it.
"""

import asyncio
import os
import posixpath
import time
import unicodedata
from contextlib import ExitStack, suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote

import pytest
import pytest_asyncio

from async_storages import (
    Content,
    FileNotFoundException,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    StorageException,
    StoredFile,
    events,
    naming,
    sniff,
)
from async_storages.ids import FileId
from async_storages.storage.byte_ranges import byte_range
from async_storages.testing import StorageContract
from async_storages.testing.contract import processes
from tests.support import chosen_ids, local_server
from tests.support.chosen_ids import ChosenIdsContract, ChosenIdsStorage

SABOTAGES = {}


def caught_by(test):
    def note(sabotage):
        SABOTAGES[sabotage] = test.__name__
        return sabotage

    return note


def contract_of(make, *tests):
    """A test class for pytest: these tests of the contract, by default all, on storages that `make` gives."""
    if issubclass(make, LocalStorage):

        @pytest_asyncio.fixture
        async def storage(self, tmp_path):
            async with local_server.served(tmp_path, make) as local:
                yield local
    elif issubclass(make, ChosenIdsStorage):

        @pytest_asyncio.fixture
        async def storage(self):
            async with chosen_ids.served(make) as chosen:
                yield chosen
    else:

        @pytest.fixture
        def storage(self):
            return make()

    others = {name: None for name in dir(StorageContract) if name.startswith("test_") and name not in (tests or [name])}
    contract = ChosenIdsContract if make.chooses_ids else StorageContract
    return type(f"Test{make.__name__}", (contract,), {"storage": storage, **others})


class Info(MemoryStorage):
    """Lies about what it knows: `told` says how."""

    def told(self, info):
        raise NotImplementedError

    async def stat(self, name):
        return self.told(await super().stat(name))


class Ranges(MemoryStorage):
    """Gives other bytes than asked for: `given` says which."""

    def given(self, data, offset, length, chunk_size):
        raise NotImplementedError

    async def stream(self, name, offset=0, length=None, *, chunk_size=262_144):
        with self.operation("stream", name) as operation:
            for chunk in self.given(self._get(operation.file)[0], offset, length, chunk_size):
                operation.bytes += len(chunk)
                yield chunk


def sliced(data, offset, length, chunk_size):
    positions = byte_range(len(data), offset, length, chunk_size)
    return [data[start : min(start + chunk_size, positions.stop)] for start in positions]


class Receives(MemoryStorage):
    """Stores something else than what came: `received` says what."""

    async def received(self, content, key):
        raise NotImplementedError

    async def write(self, content, key, *, overwrite=True):
        with self.operation("write", key) as operation:
            data = await self.received(content, key)
            operation.bytes = len(data)
            return self._put(operation.file, data, await content.content_type(), content.metadata, overwrite=overwrite)


# ---- identity


@caught_by(StorageContract.test_identity_write_returns_an_id_that_leads_back)
class ReturnsAnotherId(MemoryStorage):
    async def write(self, content, key, *, overwrite=True):
        return f"{await super().write(content, key, overwrite=overwrite)}-1"


@caught_by(StorageContract.test_identity_write_returns_an_id_that_leads_back)
class ReturnsTheKey(MemoryStorage):
    async def write(self, content, key, *, overwrite=True):
        return FileId.parse(await super().write(content, key, overwrite=overwrite)).key


@caught_by(StorageContract.test_identity_awkward_key)
class LowersKeys(MemoryStorage):
    def identify(self, name):
        return replace(found := super().identify(name), key=found.key.lower())


@caught_by(StorageContract.test_identity_similar_keys_are_kept_apart)
class DecodesKeys(MemoryStorage):
    def _put(self, file_id, *args, **kwargs):
        return super()._put(replace(file_id, key=unquote(file_id.key)), *args, **kwargs)

    def _get(self, file_id):
        return super()._get(replace(file_id, key=unquote(file_id.key)))


@caught_by(StorageContract.test_identity_awkward_key)
class KeepsAsciiOnly(MemoryStorage):
    def identify(self, name):
        found = super().identify(name)
        return replace(found, key=unicodedata.normalize("NFKD", found.key).encode("ascii", "replace").decode())


@caught_by(StorageContract.test_identity_awkward_key)
class DoesNotEncodeUrls(MemoryStorage):
    async def url(self, name):
        await super().url(name)
        return f"mem:{self.identify(name).key}"


@caught_by(StorageContract.test_identity_awkward_key)
class EncodesUrlsTwice(MemoryStorage):
    async def url(self, name):
        return f"mem:{quote((await super().url(name)).removeprefix('mem:'))}"


@caught_by(StorageContract.test_identity_two_saves_of_one_name_are_two_files)
class SavesUnderTheNameAsItIs(MemoryStorage):
    async def save(self, content, filename=None, *, folder="", **options):
        key = naming.clean_key(f"{folder}/{filename}")
        return StoredFile(self.identify(await self.upload(content, key, **options)), self)


@caught_by(StorageContract.test_identity_write_returns_an_id_that_leads_back)
class ForgetsWhoseIdsItServes(MemoryStorage):
    def storage_for(self, file_id):
        self.identify(file_id)
        return MemoryStorage()


# ---- read


@caught_by(StorageContract.test_read_range)
class IgnoresTheOffset(Ranges):
    def given(self, data, offset, length, chunk_size):
        return sliced(data, 0, length, chunk_size)


@caught_by(StorageContract.test_read_range)
class IgnoresTheLength(Ranges):
    def given(self, data, offset, length, chunk_size):
        return sliced(data, offset, None, chunk_size)


@caught_by(StorageContract.test_read_range)
class GivesOneByteMore(Ranges):
    def given(self, data, offset, length, chunk_size):
        return sliced(data, offset, length and length + 1, chunk_size)


@caught_by(StorageContract.test_read_range)
class TakesZeroForEverything(Ranges):
    def given(self, data, offset, length, chunk_size):
        return sliced(data, offset, length or None, chunk_size)


@caught_by(StorageContract.test_read_range)
class KnowsNoSuffix(Ranges):
    def given(self, data, offset, length, chunk_size):
        return sliced(data, max(0, offset), length, chunk_size)


@caught_by(StorageContract.test_read_range)
class CountsALongSuffixFromBeforeTheBeginning(Ranges):
    def given(self, data, offset, length, chunk_size):
        stop = None if length is None else len(data) + offset + length
        return [data[offset:stop]] if -len(data) > offset else sliced(data, offset, length, chunk_size)


@caught_by(StorageContract.test_read_range)
class RefusesWhatIsPastTheEnd(Ranges):
    def given(self, data, offset, length, chunk_size):
        if offset > len(data):
            raise InvalidArgumentException("range not satisfiable")
        return sliced(data, offset, length, chunk_size)


@caught_by(StorageContract.test_read_in_chunks)
class IgnoresTheChunkSize(Ranges):
    def given(self, data, offset, length, chunk_size):
        return [b"".join(sliced(data, offset, length, chunk_size))]


@caught_by(StorageContract.test_read_in_chunks)
class GivesEmptyChunks(Ranges):
    def given(self, data, offset, length, chunk_size):
        return [*sliced(data, offset, length, chunk_size), b""]


@caught_by(StorageContract.test_read_in_chunks)
class LosesTheLastChunk(Ranges):
    def given(self, data, offset, length, chunk_size):
        chunks = sliced(data, offset, length, chunk_size)
        return chunks[:-1] if len(chunks) > 1 else chunks


@caught_by(StorageContract.test_read_impossible_range)
class AcceptsAnyRange(Ranges):
    def given(self, data, offset, length, chunk_size):
        return sliced(data, offset, length and max(length, 0), max(chunk_size, 1))


@caught_by(StorageContract.test_read_missing)
class ReadsNothingWhereNothingIs(MemoryStorage):
    def _get(self, file_id):
        with suppress(FileNotFoundException):
            return super()._get(file_id)
        return b"", None


@caught_by(StorageContract.test_read_missing)
class RaisesAKeyError(MemoryStorage):
    def _get(self, file_id):
        return self._files[file_id.key]


@caught_by(StorageContract.test_read_empty_file)
class TakesAnEmptyFileForAMissingOne(MemoryStorage):
    def _get(self, file_id):
        found = super()._get(file_id)
        if not found[0]:
            raise FileNotFoundException("no such file")
        return found


@caught_by(StorageContract.test_read_the_folder_of_a_file)
class FindsFilesByHalfTheirName(MemoryStorage):
    def _get(self, file_id):
        for key in self._files:
            if key.startswith(file_id.key):
                return self._files[key]
        return super()._get(file_id)


@caught_by(StorageContract.test_read_under_way_gives_no_mixture)
class MixesVersions(MemoryStorage):
    async def stream(self, name, offset=0, length=None, *, chunk_size=262_144):
        with self.operation("stream", name) as operation:
            positions = byte_range(len(self._get(operation.file)[0]), offset, length, chunk_size)
            for start in positions:
                yield self._get(operation.file)[0][start : min(start + chunk_size, positions.stop)]


@caught_by(StorageContract.test_read_abandoned)
class LeaksAbandonedReads(MemoryStorage):
    leaked = ExitStack()

    async def stream(self, name, offset=0, length=None, *, chunk_size=262_144):
        file = self.leaked.enter_context(await asyncio.to_thread(open, os.devnull, "rb"))
        async for chunk in super().stream(name, offset, length, chunk_size=chunk_size):
            yield chunk
        file.close()


# ---- write


@caught_by(StorageContract.test_write_from_a_source_that_raises)
class KeepsHalfOfABrokenSource(Receives):
    async def received(self, content, key):
        data = b""
        with suppress(Exception):
            async for chunk in content:
                data += chunk
        return data


class KeepsWhatCameBefore(MemoryStorage):
    failure: type[BaseException]

    async def write(self, content, key, *, overwrite=True):
        data = b""
        try:
            async for chunk in content:
                data += chunk
        except self.failure:
            await self.upload(data, key)
            raise
        type_and_metadata = {"content_type": await content.content_type(), "metadata": content.metadata}
        return await super().write(Content(data, **type_and_metadata), key, overwrite=overwrite)


@caught_by(StorageContract.test_write_from_a_source_that_raises)
class KeepsWhatCameBeforeTheError(KeepsWhatCameBefore):
    failure = Exception


@caught_by(StorageContract.test_write_cancelled_anywhere)
class KeepsWhatCameBeforeTheCancellation(KeepsWhatCameBefore):
    failure = asyncio.CancelledError


@caught_by(StorageContract.test_write_cancelled_anywhere)
class SwallowsTheCancellation(MemoryStorage):
    async def write(self, content, key, *, overwrite=True):
        with suppress(asyncio.CancelledError):
            return await super().write(content, key, overwrite=overwrite)
        return str(self.identify(key))


@caught_by(StorageContract.test_write_cancelled_anywhere)
class CannotBeCancelledAtTheEnd(MemoryStorage):
    async def write(self, content, key, *, overwrite=True):
        file_id = await super().write(content, key, overwrite=overwrite)
        await asyncio.sleep(0)
        return file_id


@caught_by(StorageContract.test_write_without_overwriting)
class IgnoresOverwrite(MemoryStorage):
    def _put(self, *args, overwrite):
        return super()._put(*args, overwrite=True)


@caught_by(StorageContract.test_write_replaces)
class NeverOverwrites(MemoryStorage):
    def _put(self, file_id, *args, overwrite):
        if overwrite and file_id.key in self._files:
            return str(file_id)
        return super()._put(file_id, *args, overwrite=overwrite)


@caught_by(StorageContract.test_write_two_at_once_without_overwriting)
class LooksBeforeItLeaps(MemoryStorage):
    """Two writers find the key free, then both write it."""

    async def write(self, content, key, *, overwrite=True):
        if not overwrite and self.identify(key).key in self._files:
            return await super().write(content, key, overwrite=False)
        return await super().write(content, key, overwrite=True)


@caught_by(StorageContract.test_write_from)
class ClosesTheCallersFile(MemoryStorage):
    async def upload(self, content, name, **options):
        key = await super().upload(content, name, **options)
        file = getattr(content, "file", content)
        if hasattr(file, "closed"):
            file.close()
        return key


@caught_by(StorageContract.test_write_large)
class StoresAFewMegabytesOnly(Receives):
    async def received(self, content, key):
        return b"".join([chunk async for chunk in content])[: 8 * 2**20]


@caught_by(StorageContract.test_write_two_at_once_to_one_key)
class MixesWriters(Receives):
    async def received(self, content, key):
        self.parts = {**getattr(self, "parts", {}), key: b""}
        async for chunk in content:
            self.parts[key] += chunk
        return self.parts[key]


@caught_by(StorageContract.test_write_two_at_once_to_one_key)
class KeepsMetadataApart(MemoryStorage):
    """Content is the last writer's, metadata the one's that began last."""

    async def write(self, content, key, *, overwrite=True):
        self.begun = {**getattr(self, "begun", {}), key: content.metadata}
        file_id = await super().write(content, key, overwrite=overwrite)
        data, info = self._files[self.identify(key).key]
        self._files[self.identify(key).key] = data, info.model_copy(update={"metadata": self.begun[key]})
        return file_id


@caught_by(StorageContract.test_write_replaces)
class AddsToOldMetadata(MemoryStorage):
    def _put(self, file_id, data, content_type, metadata, *, overwrite):
        old = self._files[file_id.key][1].metadata if file_id.key in self._files else {}
        return super()._put(file_id, data, content_type, old | metadata, overwrite=overwrite)


@caught_by(StorageContract.test_write_from_a_source_that_raises)
class RunsOutOfPlace(MemoryStorage):
    """Deletes the old file before it knows whether there is a new one."""

    async def write(self, content, key, *, overwrite=True):
        if overwrite:
            self._files.pop(self.identify(key).key, None)
        return await super().write(content, key, overwrite=overwrite)


# ---- stat


@caught_by(StorageContract.test_stat_size)
class MiscountsBytes(Info):
    def told(self, info):
        return info.model_copy(update={"file_size": info.file_size + 1})


@caught_by(StorageContract.test_stat_missing)
class KnowsMissingFiles(MemoryStorage):
    async def stat(self, name):
        with suppress(FileNotFoundException):
            return await super().stat(name)
        return FakeInfo


class FakeInfo:
    file_size = 0


@caught_by(StorageContract.test_stat_type_told_by_content)
class TrustsTheName(Info):
    def told(self, info):
        return info.model_copy(update={"content_type": sniff.guess_by_name(info.file_name)})


@caught_by(StorageContract.test_stat_type_told_by_content)
class TrustsTheBytesOnly(MemoryStorage):
    def _put(self, file_id, data, content_type, metadata, *, overwrite):
        return super()._put(file_id, data, sniff.sniff(data) or "text/plain", metadata, overwrite=overwrite)


@caught_by(StorageContract.test_stat_etag)
class HasOneEtagForAll(Info):
    def told(self, info):
        return info.model_copy(update={"etag": "etag"})


@caught_by(StorageContract.test_stat_etag)
class MakesEtagsOfSizes(Info):
    def told(self, info):
        return info.model_copy(update={"etag": str(info.file_size)})


@caught_by(StorageContract.test_stat_etag)
class MakesNewEtagsAllTheTime(Info):
    def told(self, info):
        return info.model_copy(update={"etag": str(time.monotonic_ns())})


@caught_by(StorageContract.test_stat_time)
class HasNoTimeZone(Info):
    def told(self, info):
        return info.model_copy(update={"last_modify_time": info.last_modify_time.replace(tzinfo=None)})


@caught_by(StorageContract.test_stat_time)
class LivesInThePast(Info):
    def told(self, info):
        return info.model_copy(update={"last_modify_time": datetime.fromtimestamp(0, UTC)})


@caught_by(StorageContract.test_stat_metadata)
class IgnoresMetadata(Info):
    def told(self, info):
        return info.model_copy(update={"metadata": {}})


@caught_by(StorageContract.test_stat_metadata)
class KeepsMetadataInAscii(Info):
    def told(self, info):
        ascii_only = {key: value.encode("ascii", "replace").decode() for key, value in info.metadata.items()}
        return info.model_copy(update={"metadata": ascii_only})


@caught_by(StorageContract.test_stat_metadata)
class EncodesMetadataButDoesNotDecodeIt(Info):
    def told(self, info):
        return info.model_copy(update={"metadata": {key: quote(value) for key, value in info.metadata.items()}})


@caught_by(StorageContract.test_stat_is_the_callers_own)
class SharesWhatItKnows(MemoryStorage):
    async def stat(self, name):
        with self.operation("stat", name) as operation:
            return self._get(operation.file)[1]


@caught_by(StorageContract.test_stat_names)
class ShowsGeneratedNames(Info):
    def told(self, info):
        return info.model_copy(update={"file_name": info.file_id.rpartition("/")[2]})


# ---- delete


@caught_by(StorageContract.test_delete)
class DeletesNothing(MemoryStorage):
    async def delete(self, name):
        self.identify(name)


@caught_by(StorageContract.test_delete)
class DeletesByPrefix(MemoryStorage):
    async def delete(self, name):
        key = self.identify(name).key
        self._files = {other: file for other, file in self._files.items() if not other.startswith(key)}


@caught_by(StorageContract.test_delete_missing)
class InsistsOnDeletingSomething(MemoryStorage):
    async def delete(self, name):
        self._get(self.identify(name))
        await super().delete(name)


@caught_by(StorageContract.test_delete_makes_room_for_a_new_file)
class KeepsTheMetadataOfTheDead(MemoryStorage):
    async def delete(self, name):
        self.graves = {name: (await self.stat(name)).metadata if await self.exists(name) else {}}
        await super().delete(name)

    def _put(self, file_id, data, content_type, metadata, *, overwrite):
        old = getattr(self, "graves", {}).get(file_id.key, {})
        return super()._put(file_id, data, content_type, old | metadata, overwrite=overwrite)


@caught_by(StorageContract.test_delete_many_with_a_failure)
class GivesUpAtTheFirstFailure(MemoryStorage):
    async def delete_many(self, names, *, concurrency=32):
        for name in names:
            await self.delete(name)


@caught_by(StorageContract.test_delete_many_with_a_failure)
class HidesFailures(MemoryStorage):
    async def delete_many(self, names, *, concurrency=32):
        for name in names:
            with suppress(StorageException):
                await self.delete(name)


# ---- list, copy, metadata


class Lists(MemoryStorage):
    """Lists other keys than asked for: `listed` says which."""

    def listed(self, prefix):
        raise NotImplementedError

    async def list(self, prefix=""):
        with self.operation("list"):
            for key in self.listed(prefix):
                yield self._files[key][1]


@caught_by(StorageContract.test_list_everything_sorted)
class ListsUnsorted(Lists):
    def listed(self, prefix):
        return [key for key in list(self._files) if key.startswith(prefix)]


@caught_by(StorageContract.test_list_everything_sorted)
class SortsLikePeople(Lists):
    def listed(self, prefix):
        return sorted((key for key in self._files if key.startswith(prefix)), key=str.casefold)


@caught_by(StorageContract.test_list_by_prefix)
class IgnoresThePrefix(Lists):
    def listed(self, prefix):
        return sorted(self._files)


@caught_by(StorageContract.test_list_by_prefix)
class TakesAPrefixForAFolder(Lists):
    def listed(self, prefix):
        return sorted(key for key in self._files if not prefix or key.startswith(prefix.rstrip("/") + "/"))


@caught_by(StorageContract.test_list_everything_sorted)
class ListsOnePage(Lists):
    def listed(self, prefix):
        return sorted(key for key in self._files if key.startswith(prefix))[:100]


@caught_by(StorageContract.test_list_everything_sorted)
class ListsTheFirstFileTwice(Lists):
    def listed(self, prefix):
        keys = sorted(key for key in self._files if key.startswith(prefix))
        return keys[:1] + keys


@caught_by(StorageContract.test_list_while_files_come_and_go)
class FallsOverDeletedFiles(Lists):
    def listed(self, prefix):
        return sorted(key for key in self._files if key.startswith(prefix))


@caught_by(StorageContract.test_list_of_no_place)
class NormalisesPrefixes(Lists):
    def listed(self, prefix):
        prefix = posixpath.normpath(prefix).strip("./") if prefix else ""
        return sorted(key for key in list(self._files) if key.startswith(prefix))


@caught_by(StorageContract.test_list_tells_what_stat_tells)
class ListsOtherFacts(MemoryStorage):
    async def list(self, prefix=""):
        async for info in super().list(prefix):
            yield info.model_copy(update={"file_size": 0})


@caught_by(StorageContract.test_copy)
class CopiesContentOnly(MemoryStorage):
    async def copy(self, source, target, *, overwrite=True):
        return str(self.identify(await self.upload(await self.read(source), target, overwrite=overwrite)))


@caught_by(StorageContract.test_copy)
class Moves(MemoryStorage):
    async def copy(self, source, target, *, overwrite=True):
        file_id = await super().copy(source, target, overwrite=overwrite)
        await self.delete(source)
        return file_id


@caught_by(StorageContract.test_copy_over_a_file)
class CopiesOverEverything(MemoryStorage):
    async def copy(self, source, target, *, overwrite=True):
        return await super().copy(source, target)


@caught_by(StorageContract.test_copy_missing)
class MakesRoomBeforeItCopies(MemoryStorage):
    async def copy(self, source, target, *, overwrite=True):
        if overwrite:
            await self.delete(target)
        return await super().copy(source, target, overwrite=overwrite)


@caught_by(StorageContract.test_copy)
class ReturnsTheSourceOfACopy(MemoryStorage):
    async def copy(self, source, target, *, overwrite=True):
        await super().copy(source, target, overwrite=overwrite)
        return str(self.identify(source))


@caught_by(StorageContract.test_metadata_replaced)
class AddsMetadata(MemoryStorage):
    async def set_metadata(self, name, metadata):
        await super().set_metadata(name, (await self.stat(name)).metadata | metadata)


@caught_by(StorageContract.test_metadata_replaced)
class ForgetsTheTypeWithTheMetadata(MemoryStorage):
    async def set_metadata(self, name, metadata):
        await self.upload(await self.read(name), name, metadata=metadata)


@caught_by(StorageContract.test_metadata_of_a_missing_file)
class DescribesMissingFiles(MemoryStorage):
    async def set_metadata(self, name, metadata):
        with suppress(FileNotFoundException):
            await super().set_metadata(name, metadata)


@caught_by(StorageContract.test_metadata_that_cannot_be_kept)
class TakesAnyMetadata(MemoryStorage):
    async def set_metadata(self, name, metadata):
        with suppress(InvalidArgumentException):
            await super().set_metadata(name, metadata)


# ---- lifecycle


@caught_by(StorageContract.test_lifecycle_use_after_close)
class WorksThoughClosed(MemoryStorage):
    async def aclose(self):
        pass


@caught_by(StorageContract.test_lifecycle_use_after_close)
class ReadsThoughClosed(MemoryStorage):
    async def stat(self, name):
        return self._get(self.identify(name))[1]


@caught_by(StorageContract.test_lifecycle_reopen)
class StaysClosed(MemoryStorage):
    async def __aenter__(self):
        return self


@caught_by(StorageContract.test_lifecycle_close_twice)
class ClosesOnce(MemoryStorage):
    async def aclose(self):
        if self._closed:
            raise RuntimeError("already closed")
        await super().aclose()


@caught_by(StorageContract.test_lifecycle_reopen)
class ForgetsEverythingWhenClosed(MemoryStorage):
    async def aclose(self):
        await super().aclose()
        self._files.clear()


@caught_by(StorageContract.test_lifecycle_nothing_blocks_the_loop)
class BlocksTheLoop(MemoryStorage):
    async def write(self, content, key, *, overwrite=True):
        time.sleep(0.0001)  # noqa: ASYNC251 - the sabotage
        return await super().write(content, key, overwrite=overwrite)


@caught_by(StorageContract.test_lifecycle_another_loop)
class BelongsToOneLoop(MemoryStorage):
    async def stat(self, name):
        return await super().stat(name)

    async def write(self, content, key, *, overwrite=True):
        self.loop = getattr(self, "loop", asyncio.get_running_loop())
        assert self.loop is asyncio.get_running_loop()
        return await super().write(content, key, overwrite=overwrite)


@caught_by(StorageContract.test_lifecycle_child_after_fork)
class BelongsToOneProcess(MemoryStorage):
    async def write(self, content, key, *, overwrite=True):
        self.pid = getattr(self, "pid", os.getpid())
        assert self.pid == os.getpid()
        return await super().write(content, key, overwrite=overwrite)


@caught_by(StorageContract.test_lifecycle_many_at_once)
class ServesOneAtATime(MemoryStorage):
    async def write(self, content, key, *, overwrite=True):
        self.key = key
        await asyncio.sleep(0)
        return await super().write(content, self.key, overwrite=overwrite)


# ---- escape


class Identifies(MemoryStorage):
    """Takes names that it must not take."""

    def identify(self, name):
        try:
            return super().identify(name)
        except StorageException:
            return FileId("mem", None, self.taken_for(str(name)))

    def taken_for(self, name):
        raise NotImplementedError


@caught_by(StorageContract.test_escape)
class ResolvesDots(Identifies):
    def taken_for(self, name):
        return posixpath.normpath(name).strip("/.")


@caught_by(StorageContract.test_escape)
class TakesBackslashesForSlashes(Identifies):
    def taken_for(self, name):
        if "\\" not in name:
            raise InvalidArgumentException("no")
        return name.replace("\\", "/").replace("../", "")


@caught_by(StorageContract.test_escape)
class StripsControlCharacters(Identifies):
    def taken_for(self, name):
        if name.isprintable():
            raise InvalidArgumentException("no")
        return "".join(filter(str.isprintable, name))


@caught_by(StorageContract.test_escape)
class ServesForeignIds(Identifies):
    def taken_for(self, name):
        if not name.startswith(("s3:", "gs:")):
            raise InvalidArgumentException("no")
        return name.partition("/")[2]


@caught_by(StorageContract.test_escape_with_what_is_no_name)
class TakesAnythingForAName(Identifies):
    def taken_for(self, name):
        if name.isascii() and name.isprintable() and not name.startswith(("5", "[")):
            raise InvalidArgumentException("no")
        return "canary.txt"


@caught_by(StorageContract.test_escape_upload_takes_clean_keys_only)
class CleansNamesSilently(MemoryStorage):
    async def upload(self, content, name, **options):
        return await super().upload(content, self.get_name(name), **options)


# ---- events and errors


@caught_by(StorageContract.test_events_one_for_each_operation)
class TellsNothing(MemoryStorage):
    async def stat(self, name):
        return self._get(self.identify(name))[1]


@caught_by(StorageContract.test_events_one_for_each_operation)
class TellsEverythingTwice(MemoryStorage):
    async def delete(self, name):
        await super().delete(name)
        await super().delete(name)


@caught_by(StorageContract.test_events_one_for_each_operation)
class CountsNoBytes(Ranges):
    async def stream(self, name, offset=0, length=None, *, chunk_size=262_144):
        with self.operation("stream", name) as operation:
            for chunk in sliced(self._get(operation.file)[0], offset, length, chunk_size):
                yield chunk


@caught_by(StorageContract.test_events_one_for_each_operation)
class TellsOfItsParts(MemoryStorage):
    async def copy(self, source, target, *, overwrite=True):
        await self.stat(source)
        return await super().copy(source, target, overwrite=overwrite)


@caught_by(StorageContract.test_events_hold_no_secret)
class TellsKeys(MemoryStorage):
    async def delete(self, name):
        with events.Operation("delete", "mem", str(name)):
            self._files.pop(self.identify(name).key, None)


@caught_by(StorageContract.test_events_of_failures)
class TellsSuccessOnly(MemoryStorage):
    async def stat(self, name):
        if await asyncio.sleep(0, self.identify(name).key not in self._files):
            raise FileNotFoundException("no such file", operation="stat", file_id=str(self.identify(name)))
        return await super().stat(name)


@caught_by(StorageContract.test_events_errors_say_what_and_where)
class SaysNoReason(MemoryStorage):
    def _get(self, file_id):
        if file_id.key not in self._files:
            raise FileNotFoundException("")
        return super()._get(file_id)


@caught_by(StorageContract.test_events_errors_say_what_and_where)
class BlamesAnotherFile(MemoryStorage):
    def _get(self, file_id):
        if file_id.key not in self._files:
            raise FileNotFoundException("no such file", file_id="mem:another.txt")
        return super()._get(file_id)


@caught_by(StorageContract.test_events_hold_no_secret)
class ShowsKeysInItsRepr(MemoryStorage):
    def __repr__(self):
        return f"MemoryStorage({list(self._files)})"


# ---- presign, direct upload


@caught_by(StorageContract.test_presign_head)
class HasHalfACapability(MemoryStorage):
    def presign(self, name, expires_in=3600, method="GET"):
        return "http://127.0.0.1/"


class Allows(LocalStorage):
    """Allows more than was signed: `allowed` says what."""

    def verify_presigned(self, method, key, token):
        for guess in self.guesses(key):
            with suppress(StorageException):
                return self.allowed(super().verify_presigned(method, guess, token), key)
        return super().verify_presigned(method, key, token)

    def guesses(self, key):
        return [key]

    def allowed(self, request, key):
        return request


@caught_by(StorageContract.test_presign_expired)
class NeverExpires(LocalStorage):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        load = self._tokens._signer._serializer.loads
        self._tokens._signer._serializer.loads = lambda token: load(token) | {"exp": time.time() + 10}


@caught_by(StorageContract.test_presign_of_another_key)
class AcceptsAnotherKey(Allows):
    def guesses(self, key):
        return [key, "file.txt"]

    def allowed(self, request, key):
        return replace(request, key=key)


@caught_by(StorageContract.test_presign_for_another_method)
class AcceptsAnotherMethod(LocalStorage):
    def verify_presigned(self, method, key, token):
        for accepted in (method, "GET", "PUT", "DELETE"):
            with suppress(StorageException):
                return super().verify_presigned(accepted, key, token)
        return super().verify_presigned(method, key, token)


@caught_by(StorageContract.test_presign_tampered)
class IgnoresTheSignature(LocalStorage):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        honest = copy(self._tokens._signer._serializer)
        self._tokens._signer._serializer.loads = lambda token: honest.loads_unsafe(token)[1] or {}


@caught_by(StorageContract.test_presign_tampered)
class NeedsNoSignature(LocalStorage):
    def verify_presigned(self, method, key, token):
        return super().verify_presigned(method, key, token or self.presign(key, method=method).partition("token=")[2])


@caught_by(StorageContract.test_presign_put_of_another_size)
class IgnoresTheSignedSize(Allows):
    def allowed(self, request, key):
        return replace(request, content_length=None)


@caught_by(StorageContract.test_presign_put_of_size_zero)
class TakesSizeZeroForAnySize(Allows):
    def allowed(self, request, key):
        return replace(request, content_length=request.content_length or None)


@caught_by(StorageContract.test_presign_put_of_another_type)
class IgnoresTheSignedType(Allows):
    def allowed(self, request, key):
        return replace(request, content_type=None)


@caught_by(StorageContract.test_presign_download_name)
class IgnoresTheDownloadName(Allows):
    def allowed(self, request, key):
        return replace(request, filename=None)


@caught_by(StorageContract.test_presign_get)
class EncodesNoPresignedUrl(LocalStorage):
    def _url(self, file_id):
        return f"{self._base_url}/{file_id.key.replace(' ', '%20')}"


@caught_by(StorageContract.test_presign_what_cannot_be)
class SignsWithoutLimits(LocalStorage):
    def presign(self, name, expires_in=3600, method="GET", **options):
        return super().presign(name, min(expires_in, 604_800), method, **options)


@caught_by(StorageContract.test_presign_many_in_order)
class PresignsInAnotherOrder(LocalStorage):
    def presign_many(self, names, expires_in=3600, **options):
        return super().presign_many(sorted(names), expires_in, **options)


@caught_by(StorageContract.test_presign_stable)
class SignsAtEachMoment(LocalStorage):
    def presign(self, name, expires_in=3600, method="GET", *, stable=None, **options):
        return super().presign(name, expires_in, method, **options)


@caught_by(StorageContract.test_direct_upload_of_another_size)
class IgnoresTheLargestSize(Allows):
    def allowed(self, request, key):
        return replace(request, max_size=None)


@caught_by(StorageContract.test_direct_upload_of_another_size)
class IgnoresTheSmallestSize(Allows):
    def allowed(self, request, key):
        return replace(request, min_size=0)


@caught_by(StorageContract.test_direct_upload_of_another_type)
class IgnoresTheTypeOfAForm(Allows):
    def allowed(self, request, key):
        return replace(request, content_type=None)


@caught_by(StorageContract.test_direct_upload_tampered)
class LetsTheFormChooseTheKey(Allows):
    def guesses(self, key):
        return [key, "file.txt", "filA.txt"]

    def allowed(self, request, key):
        return replace(request, key=key or "file.txt")


@caught_by(StorageContract.test_direct_upload_expired)
class ExpiresNoForms(NeverExpires):
    pass


@caught_by(StorageContract.test_direct_upload_of_another_size)
class TakesUploadsToMaxSizeZero(Allows):
    def allowed(self, request, key):
        return replace(request, max_size=request.max_size or None)


# ---- ids that the backend chooses


@caught_by(StorageContract.test_write_replaces)
class ChoosesIdsByName(ChosenIdsStorage):
    def _choose(self, name, data):
        return f"group1/M00/00/00/{sha256(name.encode()).hexdigest()[:27]}0000000"


@caught_by(StorageContract.test_write_two_at_once_to_one_key)
class ChoosesIdsByContent(ChosenIdsStorage):
    def _choose(self, name, data):
        return f"group1/M00/00/00/{sha256(data).hexdigest()[:27]}0000000"


@caught_by(StorageContract.test_identity_awkward_key)
class PutsNamesIntoIds(ChosenIdsStorage):
    def check_key(self, file_id):
        super().check_key(FileId("fastdfs", None, file_id.key[:51]))

    def _choose(self, name, data):
        return f"{super()._choose('', data)}-{naming.clean_filename(name)}"


@caught_by(StorageContract.test_stat_size)
class PutsAnotherSizeIntoIds(ChosenIdsStorage):
    def _choose(self, name, data):
        return super()._choose(name, data[:-1])


@caught_by(StorageContract.test_write_without_overwriting)
class AcceptsOverwriteFalse(ChosenIdsStorage):
    async def upload(self, content, name, *, overwrite=True, **options):
        return await super().upload(content, name, **options)


@caught_by(StorageContract.test_identity_two_saves_of_one_name_are_two_files)
class RefusesOverwriteFalseOfSave(ChosenIdsStorage):
    async def write(self, content, key, *, overwrite=True):
        if not overwrite:
            raise InvalidArgumentException("nothing is ever replaced")
        return await super().write(content, key)


class LeavesAFile(ChosenIdsStorage):
    failure: type[BaseException]

    async def write(self, content, key, *, overwrite=True):
        try:
            return await super().write(content, key, overwrite=overwrite)
        except self.failure:
            self._put(self._choose("", b""), b"", "half.bin", None, {})
            raise


@caught_by(StorageContract.test_write_from_a_source_that_raises)
class LeavesAFileWhereAWriteFailed(LeavesAFile):
    failure = Exception


@caught_by(StorageContract.test_write_cancelled_anywhere)
class LeavesAFileWhereAWriteWasCancelled(LeavesAFile):
    failure = asyncio.CancelledError


@caught_by(StorageContract.test_delete_missing)
class InsistsOnDeletingAChosenId(ChosenIdsStorage):
    async def delete(self, name):
        self._get(self.identify(name))
        await super().delete(name)


@caught_by(StorageContract.test_escape_a_name_is_no_id)
class TakesNamesForIds(ChosenIdsStorage):
    def check_key(self, file_id):
        if "/M00/" in file_id.key:
            super().check_key(file_id)


@caught_by(StorageContract.test_escape)
class WritesUnderAnyName(ChosenIdsStorage):
    async def write(self, content, key, *, overwrite=True):
        return await super().write(content, "file.txt", overwrite=overwrite)


@caught_by(StorageContract.test_escape_upload_takes_clean_keys_only)
class CleansNamesOfUploads(ChosenIdsStorage):
    async def upload(self, content, name, **options):
        return await super().upload(content, self.get_name(name), **options)


@caught_by(StorageContract.test_read_the_folder_of_a_file)
class ServesItsOwnMetadataFiles(ChosenIdsStorage):
    def check_key(self, file_id):
        super().check_key(replace(file_id, key=file_id.key.removesuffix("-m")))

    def _get(self, file_id):
        return super()._get(replace(file_id, key=file_id.key.removesuffix("-m")))


@caught_by(StorageContract.test_stat_names)
class LosesNames(ChosenIdsStorage):
    def _put(self, key, data, name, content_type, metadata):
        return super()._put(key, data, key, content_type, metadata)


@caught_by(StorageContract.test_stat_names)
class ShowsNamesAmongMetadata(ChosenIdsStorage):
    def _put(self, key, data, name, content_type, metadata):
        return super()._put(key, data, name, content_type, {**metadata, "filename": name})


@caught_by(StorageContract.test_metadata_replaced)
class LosesNamesWithMetadata(ChosenIdsStorage):
    async def set_metadata(self, name, metadata):
        await super().set_metadata(name, metadata)
        data, info = self._files[str(name)]
        self._files[str(name)] = data, info.model_copy(update={"file_name": str(name).rpartition("/")[2]})


@caught_by(StorageContract.test_copy)
class CopiesToKeys(ChosenIdsStorage):
    async def copy(self, source, target, *, overwrite=True):
        return await self.upload(await self.read(source), target)


@caught_by(StorageContract.test_presign_download_name)
class LeavesOptionsOutOfTokens(ChosenIdsStorage):
    def presign(self, name, expires_in=3600, method="GET", **options):
        return super().presign(name, expires_in, stable=options.get("stable"))


# ---- the judgement

FILE = """
from async_storages import MemoryStorage
from tests.support.chosen_ids import ChosenIdsStorage
from tests.unit.testing.test_contract_sabotage import SABOTAGES, contract_of

for make, test in SABOTAGES.items():
    globals()[f"Test{make.__name__}"] = contract_of(make, test)
TestMemoryStorage = contract_of(MemoryStorage)
TestChosenIdsStorage = contract_of(ChosenIdsStorage)
"""


class Judge:
    """A pytest plugin that remembers which classes failed, and what could not even be tried."""

    def __init__(self):
        self.caught = set()
        self.broken = []

    def pytest_runtest_logreport(self, report):
        if report.failed and report.when == "call":
            self.caught.add(report.nodeid.split("::")[1].removeprefix("Test"))
        elif report.failed or report.skipped:
            self.broken.append(report.nodeid)


@pytest.fixture
def judged(pytester, monkeypatch):
    # the contract gives storages more time to fail, which each sabotage would take
    monkeypatch.setattr(processes, "_NOTICE_SECONDS", 1)
    pytester.makepyfile(test_sabotaged=FILE)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    judge = Judge()
    pytester.inline_run(
        "-q", "--asyncio-mode=strict", "-p", "no:cacheprovider", "--tb=no", "--durations=20", plugins=[judge]
    )
    LeaksAbandonedReads.leaked.close()
    return judge


def test_the_contract_notices_every_sabotage_and_nothing_else(judged):
    assert judged.broken == []
    assert {sabotage.__name__ for sabotage in SABOTAGES} - judged.caught == set(), "not noticed"
    assert len(judged.caught) == len(SABOTAGES) >= 35
