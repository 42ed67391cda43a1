"""Identity: the id that a write returns finds the file again, also after other systems have stored it."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest

from async_storages import naming
from async_storages.content import Content
from async_storages.ids import FileId
from async_storages.storage.base import Storage
from async_storages.testing.contract.base import ContractGroup
from async_storages.testing.contract.names import KEYS, NAMES

__all__ = ["IdentityContract"]


class IdentityContract(ContractGroup):
    """Ids, keys and URLs."""

    async def test_identity_write_returns_an_id_that_leads_back(self, storage: Storage) -> None:
        """`write` returns a fusion id of this storage."""
        async with Content(b"content") as content:
            file_id = await storage.write(content, "folder/file.txt")
        parsed = FileId.parse(file_id)
        assert (parsed.scheme, parsed.bucket) == (storage.scheme, storage.bucket)
        assert storage.storage_for(file_id) is storage
        assert await storage.read(file_id) == b"content"

    async def test_identity_survives_a_database(self, storage: Storage) -> None:
        """An id is text, and a column of 1024 characters returns it unchanged."""
        stored = await storage.save(b"content", "合同 №1.pdf", folder="отчёты")
        text = await asyncio.to_thread(_through_a_database, stored.file_id)
        assert FileId.parse(text) == storage.identify(stored)
        assert await storage.read(text) == b"content"

    async def test_identity_every_form_of_a_name_is_one_file(self, storage: Storage) -> None:
        """Key, id, parsed id and file object all name the same file."""
        key = await storage.upload(b"content", "folder/file.txt")
        file_id = storage.identify(key)
        for name in (key, str(file_id), file_id, storage.file(key)):
            assert await storage.read(name) == b"content"
            assert (await storage.stat(name)).file_id == str(file_id)

    async def test_identity_two_saves_of_one_name_are_two_files(self, storage: Storage) -> None:
        """Two files saved under one name are two files. Neither replaces the other."""
        first = await storage.save(b"first", "same.txt", folder="folder")
        second = await storage.save(b"second", "same.txt", folder="folder")
        assert first.file_id != second.file_id
        assert [(await file.get_info()).file_name for file in (first, second)] == ["same.txt"] * 2
        assert storage.chooses_ids or first.filename == second.filename == "same.txt"
        assert (await first.read(), await second.read()) == (b"first", b"second")

    @pytest.mark.parametrize("key", [pytest.param(key, id=label) for label, key in KEYS.items()])
    async def test_identity_awkward_key(self, storage: Storage, key: str) -> None:
        """`upload`, `stat` and the URL return a key unchanged. The same holds for an id instead of the key."""
        returned = await storage.upload(key.encode(), key)
        if storage.chooses_ids:
            _check_chosen(returned, key)
        else:
            assert returned == key
        assert await storage.read(returned) == key.encode()
        assert (await storage.stat(returned)).file_id == str(storage.identify(returned))
        _check_url(await storage.url(returned), returned)

    async def test_identity_similar_keys_are_kept_apart(self, storage: Storage) -> None:
        """Different keys stay different: the storage does not decode, fold or shorten them."""
        keys = [*KEYS.values(), "aA.png", "a/b.png", "a b=c.txt", "report.final.v1.2.pdf", "照片.jpg"]
        returned = [await storage.upload(key.encode(), key) for key in keys]
        assert [await storage.read(key) for key in returned] == [key.encode() for key in keys]

    @pytest.mark.parametrize("name", [pytest.param(name, id=label) for label, name in NAMES.items()])
    async def test_identity_hostile_name(self, storage: Storage, name: str) -> None:
        """`save` makes a safe key from any name, and keeps a cleaned name for display."""
        stored = await storage.save(b"content", name)
        assert naming.check_key(stored.name) == stored.name
        assert (await stored.get_info()).file_name == naming.original_filename(naming.unique_key(name))
        assert await storage.read(stored.file_id) == b"content"
        _check_url(await stored.get_path(), stored.name)


def _check_chosen(key: str, name: str) -> None:
    """Check that an id needs no encoding anywhere, and holds nothing of the name except its extension."""
    assert re.fullmatch(r"[A-Za-z0-9._~/-]+", key)
    assert key != name
    assert PurePosixPath(key).suffix in {"", PurePosixPath(name).suffix}


def _check_url(url: str, key: str) -> None:
    """Check that a URL is printable ASCII, and that its path ends in the key, with each character encoded correctly."""
    assert url.isascii()
    assert url.isprintable()
    assert not set(url) & set(' "<>\\^`{}|')
    path = unquote(urlsplit(url).path, errors="strict")
    assert path == key or path.endswith(f"/{key}")
    assert urlsplit(url).fragment == ""


def _through_a_database(file_id: str) -> str:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE document (file VARCHAR(1024) CHECK (length(file) <= 1024))")
        database.execute("INSERT INTO document VALUES (?)", (file_id,))
        [(text,)] = database.execute("SELECT file FROM document")
        return str(text)
