"""Stat and delete: the facts of a file until it is deleted."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from async_storages import naming
from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageException
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsList
from async_storages.testing.contract.base import ContractGroup, exact_keys, missing

__all__ = ["DeleteContract", "StatContract"]

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0"
_HTML = b"<!DOCTYPE html><script>alert(1)</script>"

# key, content, expected type
_TYPES: dict[str, tuple[str, bytes, str]] = {
    "png": ("a.png", _PNG, "image/png"),
    "png without an extension": ("a", _PNG, "image/png"),
    "png named txt": ("a.txt", _PNG, "image/png"),
    "html named png": ("a.png", _HTML, "text/html"),
    "html named txt": ("a.txt", _HTML, "text/html"),
    "text by its name": ("a.csv", b"a,b\n", "text/csv"),
    "nothing known": ("a", b"\0\1\2", "application/octet-stream"),
}


class StatContract(ContractGroup):
    """`stat`, `info`, `get_size`, `exists`."""

    async def test_stat_size(self, storage: Storage) -> None:
        """Every method reports the size of the content, also for an id."""
        key = await storage.upload(b"0123456789", "folder/ten.txt")
        info = await storage.stat(key)
        assert info == await storage.info(key) == await storage.file(key).get_info()
        assert info.file_size == await storage.get_size(key) == 10
        assert storage.file(key).known_size in {None, 10}
        assert await storage.exists(key)

    async def test_stat_names(self, storage: Storage) -> None:
        """The display name is the cleaned name under which the file was saved."""
        stored = await storage.save(b"content", "Отчёт №1.pdf", folder="reports", metadata={"a": "1"})
        info = await storage.stat(stored)
        name = naming.clean_filename("Отчёт №1.pdf")
        assert (info.file_id, info.file_name, info.metadata) == (stored.file_id, name, {"a": "1"})
        assert storage.chooses_ids or stored.filename == name

    @pytest.mark.parametrize(("key", "content", "expected"), _TYPES.values(), ids=_TYPES)
    async def test_stat_type_told_by_content(self, storage: Storage, key: str, content: bytes, expected: str) -> None:
        """The type follows the content, not the name."""
        uploaded = await storage.upload(content, key)
        assert (await storage.stat(uploaded)).content_type == expected

    async def test_stat_type_as_given(self, storage: Storage) -> None:
        """The caller's type is used, if there is one."""
        key = await storage.upload(_PNG, "a.png", content_type="application/x-mine; version=2")
        assert (await storage.stat(key)).content_type == "application/x-mine; version=2"

    async def test_stat_etag(self, storage: Storage) -> None:
        """The etag, if the backend has one, changes only when the content changes."""
        etags = []
        for content in (b"one", b"two", b"three", b"four", b"five", b"six!"):
            key = await storage.upload(content, "file.txt")
            etags.append((await storage.stat(key)).etag)
            assert (await storage.stat(key)).etag == etags[-1]
        assert set(etags) == {None} or len(set(etags)) == len(etags)

    async def test_stat_time(self, storage: Storage) -> None:
        """The time of the last change has a time zone, and is about now."""
        key = await storage.upload(b"content", "file.txt")
        changed = (await storage.stat(key)).last_modify_time
        assert changed is not None
        assert changed.tzinfo is not None
        assert abs(changed - datetime.fromtimestamp(time.time(), UTC)) < timedelta(hours=1)

    async def test_stat_metadata(self, storage: Storage) -> None:
        """Metadata comes back as given, in any script. Keys come back in lower case."""
        metadata = {
            "author": "Ada Lovelace",
            "Title": "合同 № 1: «ёж»",
            "emoji": "🎉",
            "empty": "",
            "percent": "%41 +=&",
        }
        stored = await storage.save(b"content", "file.txt", metadata=metadata)
        found = (await storage.stat(stored)).metadata
        assert found == {key.lower(): value for key, value in metadata.items()}

    async def test_stat_is_the_callers_own(self, storage: Storage) -> None:
        """Changes to returned or given metadata do not change the file."""
        metadata = {"a": "1"}
        key = await storage.upload(b"content", "file.txt", metadata=metadata)
        metadata["a"] = "changed"
        (await storage.stat(key)).metadata["a"] = "changed"
        assert (await storage.stat(key)).metadata == {"a": "1"}

    async def test_stat_metadata_that_cannot_be_kept(self, storage: Storage) -> None:
        """Metadata that some backend would lose, or that could forge a header, is refused before anything is stored."""
        async with self.unchanged(storage, "file.txt"):
            for wrong in (
                {"a": "1\r\nx: y"},
                {"a b": "1"},
                {"": "1"},
                {"a": " 1"},
                {"a": "1", "A": "2"},
                {"a": "\ud800"},
            ):
                with pytest.raises(InvalidArgumentException):
                    await storage.upload(b"content", "file.txt", metadata=wrong)

    async def test_stat_missing(self, storage: Storage) -> None:
        """A missing file has no facts to return."""
        key = await missing(storage)
        for ask in (storage.stat, storage.info, storage.get_size):
            with pytest.raises(FileNotFoundException, match=re.escape(key)) as caught:
                await ask(key)
            assert isinstance(caught.value, FileNotFoundError)
        assert not await storage.exists(key)


class DeleteContract(ContractGroup):
    """`delete`, `delete_many`."""

    async def test_delete(self, storage: Storage) -> None:
        """A delete leaves nothing of the file, and leaves its neighbours unchanged."""
        names = ["folder/file.txt.bak", "folder/fil", "folder/file.tx", "file.txt", "folder2/file.txt"]
        neighbours = [await storage.upload(name.encode(), name) for name in names]
        async with self.unchanged(storage, "folder/file.txt", *neighbours):
            key = await storage.upload(b"content", "folder/file.txt", metadata={"a": "1"})
            await storage.delete(key)
        assert not await storage.exists(key)

    @exact_keys
    async def test_delete_makes_room_for_a_new_file(self, storage: Storage) -> None:
        """A new file under the key of a deleted one inherits nothing from it."""
        await storage.upload(b"content", "file.txt", content_type="text/x-old", metadata={"a": "1"})
        await storage.delete("file.txt")
        await storage.upload(b"CONTENT", "file.txt", overwrite=False)
        info = await storage.stat("file.txt")
        assert (info.content_type, info.metadata) == ("text/plain", {})

    async def test_delete_missing(self, storage: Storage) -> None:
        """Deleting a missing file is not an error, also the second time."""
        key = await storage.upload(b"content", "file.txt")
        for name in (key, key, await missing(storage, "never/there.txt")):
            await storage.delete(name)
        assert not await storage.exists(key)

    async def test_delete_many(self, storage: Storage) -> None:
        """A missing file among many is not an error."""
        keys = [await storage.upload(b"content", f"many/{n}.txt") for n in range(40)]
        await storage.delete_many([*keys[:20], await missing(storage, "many/missing.txt"), *keys[20:39]])
        assert [await storage.exists(key) for key in keys] == [False] * 39 + [True]
        if isinstance(storage, SupportsList):
            assert len([info async for info in storage.list()]) == 1

    async def test_delete_many_with_a_failure(self, storage: Storage) -> None:
        """If one delete fails, the error is raised after the other files are deleted."""
        keys = [await storage.upload(b"content", f"many/{n}.txt") for n in range(3)]
        with pytest.raises(StorageException):
            await storage.delete_many([keys[0], "nowhere:else.txt", *keys[1:]])
        assert [await storage.exists(key) for key in keys] == [False] * 3
