"""List, copy, metadata: capabilities that only some storages have."""

import re
from typing import Any

import pytest

from async_storages.errors import FileExistsException, FileNotFoundException, InvalidArgumentException
from async_storages.ids import FileId
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsCopy, SupportsList, SupportsMetadata
from async_storages.testing.contract.base import ContractGroup, fingerprint, missing, needs
from async_storages.testing.contract.names import KEYS
from async_storages.testing.contract.sources import CONTENT

__all__ = ["CopyContract", "ListContract", "MetadataContract"]


class ListContract(ContractGroup):
    """`SupportsList`."""

    @needs(SupportsList)
    async def test_list_nothing(self, storage: Any) -> None:
        """An empty storage lists nothing."""
        assert await _keys(storage) == []
        assert await _keys(storage, "no/such/prefix") == []

    @needs(SupportsList)
    async def test_list_everything_sorted(self, storage: Any) -> None:
        """Every file is listed once, in the order of keys, in any order of writing."""
        keys = [*KEYS.values(), "b/2", "b/10", "b-1", "B", "b0", "z/y/x/w.txt", *(f"many/{n}.txt" for n in range(300))]
        for key in reversed(keys):
            await storage.upload(b"content", key)
        assert await _keys(storage) == sorted(keys)

    @needs(SupportsList)
    async def test_list_by_prefix(self, storage: Any) -> None:
        """A prefix is any beginning of a key, not only a folder."""
        for key in ("report.txt", "reports/a.txt", "reports/b/c.txt", "Reports/a.txt", "other/reports/a.txt", "rep"):
            await storage.upload(b"content", key)
        assert await _keys(storage, "rep") == ["rep", "report.txt", "reports/a.txt", "reports/b/c.txt"]
        assert await _keys(storage, "reports/") == ["reports/a.txt", "reports/b/c.txt"]
        assert await _keys(storage, "reports/b/c.txt") == ["reports/b/c.txt"]
        assert await _keys(storage, "reports/b/c.txt/") == await _keys(storage, "reports/c") == []

    @needs(SupportsList)
    async def test_list_tells_what_stat_tells(self, storage: Any) -> None:
        """A listing agrees with the file's own `stat`. It may leave out metadata."""
        key = await storage.upload(CONTENT, "folder/合同.txt", content_type="text/x-mine", metadata={"a": "1"})
        [listed] = [info async for info in storage.list("folder/")]
        info = await storage.stat(key)
        assert (listed.file_id, listed.file_name, listed.file_size) == (info.file_id, info.file_name, info.file_size)
        assert (listed.etag, listed.metadata) in ((info.etag, info.metadata), (info.etag, {}))

    @needs(SupportsList)
    async def test_list_while_files_come_and_go(self, storage: Any) -> None:
        """A listing during deletes shows the files that stay, and raises no error."""
        for n in range(10):
            await storage.upload(b"content", f"file{n}.txt")
        listed = []
        async for info in storage.list():
            listed.append(FileId.parse(info.file_id).key)
            await storage.delete("file5.txt")
            await storage.upload(b"content", f"later{len(listed)}.txt")
        assert {f"file{n}.txt" for n in range(10) if n != 5} <= set(listed)

    @needs(SupportsList)
    async def test_list_of_no_place(self, storage: Any) -> None:
        """A prefix that points outside the storage lists nothing, or is refused."""
        await storage.upload(b"content", "folder/canary.txt")
        for prefix in ("..", "../", "/", "folder/../", "./", "folder//", "folder\\", "canary.txt\0", "\ud800"):
            try:
                assert await _keys(storage, prefix) == []
            except InvalidArgumentException:
                continue


class CopyContract(ContractGroup):
    """`SupportsCopy`."""

    @needs(SupportsCopy)
    async def test_copy(self, storage: Any) -> None:
        """A copy has the original's content, type and metadata. Both are separate files."""
        key = await storage.upload(CONTENT, "a.bin", content_type="text/x-mine", metadata={"a": "合同"})
        async with self.unchanged(storage, key):
            file_id = await storage.copy(key, "folder/b.txt")
            assert file_id == str(storage.identify("folder/b.txt"))
            assert fingerprint(await storage.read(file_id)) == fingerprint(CONTENT)
            info = await storage.stat(file_id)
            assert (info.file_size, info.content_type, info.metadata) == (len(CONTENT), "text/x-mine", {"a": "合同"})
            await storage.delete(file_id)

    @needs(SupportsCopy)
    async def test_copy_over_a_file(self, storage: Any) -> None:
        """A copy replaces a file, unless `overwrite=False` forbids it."""
        await storage.upload(b"original", "a.txt", metadata={"a": "1"})
        await storage.upload(b"old", "b.txt", content_type="text/x-old", metadata={"b": "2"})
        async with self.unchanged(storage, "a.txt", "b.txt"):
            with pytest.raises(FileExistsException, match=r"b\.txt"):
                await storage.copy("a.txt", "b.txt", overwrite=False)
        await storage.copy("a.txt", "b.txt")
        info = await storage.stat("b.txt")
        assert await storage.read("b.txt") == b"original"
        assert (info.content_type, info.metadata) == ("text/plain", {"a": "1"})

    @needs(SupportsCopy)
    async def test_copy_missing(self, storage: Any) -> None:
        """A copy of a missing file makes no file."""
        await storage.upload(b"old", "b.txt")
        async with self.unchanged(storage, "b.txt", "c.txt"):
            for target in ("b.txt", "c.txt"):
                with pytest.raises(FileNotFoundException, match=r"missing\.txt"):
                    await storage.copy("missing.txt", target)


class MetadataContract(ContractGroup):
    """`SupportsMetadata`."""

    @needs(SupportsMetadata)
    async def test_metadata_replaced(self, storage: Any) -> None:
        """New metadata replaces all of the old. Content, type and name stay."""
        key = await storage.upload(CONTENT, "a.bin", content_type="text/x-mine", metadata={"a": "1", "b": "2"})
        name = (await storage.stat(key)).file_name
        for metadata in ({"b": "合同", "c": "3"}, {}, {"d": "4"}):
            await storage.set_metadata(key, metadata)
            info = await storage.stat(key)
            assert (info.metadata, info.content_type, info.file_size) == (metadata, "text/x-mine", len(CONTENT))
            assert info.file_name == name
        assert fingerprint(await storage.read(key)) == fingerprint(CONTENT)

    @needs(SupportsMetadata)
    async def test_metadata_of_a_file_without_any(self, storage: Any) -> None:
        """A file without metadata gets metadata, and nothing else changes."""
        key = await storage.upload(b"content", "a.txt")
        before: Any = await storage.stat(key)
        await storage.set_metadata(key, {"a": "1"})
        after = await storage.stat(key)
        assert (after.metadata, after.content_type, after.file_size) == ({"a": "1"}, before.content_type, 7)

    @needs(SupportsMetadata)
    async def test_metadata_that_cannot_be_kept(self, storage: Any) -> None:
        """Metadata that `upload` refuses is refused here as well."""
        key = await storage.upload(b"content", "a.txt", metadata={"a": "1"})
        async with self.unchanged(storage, key):
            for wrong in ({"a": "1\r\nx: y"}, {"a b": "1"}, {"a": "1", "A": "2"}):
                with pytest.raises(InvalidArgumentException):
                    await storage.set_metadata(key, wrong)

    @needs(SupportsMetadata)
    async def test_metadata_of_a_missing_file(self, storage: Any) -> None:
        """Setting the metadata of a missing file is an error."""
        key = await missing(storage)
        async with self.unchanged(storage, key):
            with pytest.raises(FileNotFoundException, match=re.escape(key)):
                await storage.set_metadata(key, {"a": "1"})


async def _keys(storage: Storage, prefix: str = "") -> list[str]:
    assert isinstance(storage, SupportsList)
    return [FileId.parse(info.file_id).key async for info in storage.list(prefix)]
