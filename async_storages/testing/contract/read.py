"""Read: whole files, ranges, missing files, unfinished reads."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path

import pytest

from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageException
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import Storage
from async_storages.testing.contract.base import ContractGroup, exact_keys, fingerprint, missing
from async_storages.testing.contract.cancellation import cancelled_at
from async_storages.testing.contract.processes import no_more_open_files_than, open_files
from async_storages.testing.contract.sources import CONTENT, LARGE

__all__ = ["ReadContract"]

_TEN = b"0123456789"

# offset, length, expected bytes
_RANGES: dict[str, tuple[int, int | None, bytes]] = {
    "whole": (0, None, _TEN),
    "beginning": (0, 3, b"012"),
    "inside": (3, 4, b"3456"),
    "one byte": (9, 1, b"9"),
    "to the end": (4, None, b"456789"),
    "exactly to the end": (4, 6, b"456789"),
    "beyond the end": (7, 100, b"789"),
    "at the end": (10, None, b""),
    "past the end": (11, 5, b""),
    "far past the end": (10**12, None, b""),
    "zero length": (0, 0, b""),
    "zero length inside": (5, 0, b""),
    "suffix": (-3, None, b"789"),
    "suffix of the whole": (-10, None, _TEN),
    "suffix beyond the whole": (-15, None, _TEN),
    "part of a suffix": (-5, 2, b"56"),
    "part of a suffix beyond the whole": (-15, 3, b"012"),
}

_ABANDONED = 50


class ReadContract(ContractGroup):
    """`stream`, `read`, `open`, `download_to`."""

    async def test_read_whole(self, storage: Storage, tmp_path: Path) -> None:
        """Every way to read a file returns all of it."""
        key = await storage.upload(CONTENT, "file.bin")
        assert fingerprint(await storage.read(key)) == fingerprint(CONTENT)
        opened = await storage.open(key)
        assert opened.tell() == 0
        assert fingerprint(opened.read()) == fingerprint(CONTENT)
        target = BytesIO()
        assert await storage.download_to(key, target) == len(CONTENT)
        assert fingerprint(target.getvalue()) == fingerprint(CONTENT)
        assert await storage.download_to(key, tmp_path / "file.bin") == len(CONTENT)
        assert fingerprint(await asyncio.to_thread((tmp_path / "file.bin").read_bytes)) == fingerprint(CONTENT)

    async def test_read_empty_file(self, storage: Storage) -> None:
        """An empty file exists, and every range of it is empty."""
        key = await storage.upload(b"", "empty.bin")
        assert await storage.read(key) == b""
        assert [await _read(storage.stream(key, *part)) for part in ((0, 5), (3, None), (-3, None))] == [b""] * 3

    @pytest.mark.parametrize(("offset", "length", "expected"), _RANGES.values(), ids=_RANGES)
    async def test_read_range(self, storage: Storage, offset: int, length: int | None, expected: bytes) -> None:
        """A range equals a slice. A range past the end is not an error."""
        key = await storage.upload(_TEN, "ten.txt")
        assert await _read(storage.stream(key, offset, length)) == expected
        assert await _read(storage.stream(key, offset, length, chunk_size=2)) == expected

    async def test_read_range_across_chunks(self, storage: Storage) -> None:
        """A range may begin and end within a chunk."""
        key = await storage.upload(CONTENT, "file.bin")
        start, length = CHUNK_SIZE - 1000, 3001
        expected = CONTENT[start : start + length]
        for chunk_size in (1000, 1024, CHUNK_SIZE):
            found = await _read(storage.stream(key, start, length, chunk_size=chunk_size))
            assert fingerprint(found) == fingerprint(expected)

    @pytest.mark.parametrize("chunk_size", [1000, 65_536, CHUNK_SIZE])
    async def test_read_in_chunks(self, storage: Storage, chunk_size: int) -> None:
        """No chunk is empty or longer than requested."""
        key = await storage.upload(CONTENT, "file.bin")
        async with aclosing(storage.stream(key, chunk_size=chunk_size)) as stream:
            chunks = [chunk async for chunk in stream]
        assert {0 < len(chunk) <= chunk_size for chunk in chunks} == {True}
        assert fingerprint(b"".join(chunks)) == fingerprint(CONTENT)

    @pytest.mark.parametrize(
        "arguments", [{"length": -1}, {"chunk_size": 0}, {"chunk_size": -1}], ids=["length", "zero chunk", "chunk"]
    )
    async def test_read_impossible_range(self, storage: Storage, arguments: dict[str, int]) -> None:
        """An impossible range is the caller's error."""
        key = await storage.upload(_TEN, "ten.txt")
        with pytest.raises(InvalidArgumentException):
            await _read(storage.stream(key, 0, **arguments))

    async def test_read_missing(self, storage: Storage, tmp_path: Path) -> None:
        """A missing file raises FileNotFoundException, a subclass of Python's own, and leaves no partial download."""
        key = await missing(storage)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "read": lambda: storage.read(key),
            "open": lambda: storage.open(key),
            "stream": lambda: _read(storage.stream(key, 3, 4)),
            "stream nothing": lambda: _read(storage.stream(key, 0, 0)),
            "download": lambda: storage.download_to(key, tmp_path / "file.bin"),
        }
        for way in ways.values():
            with pytest.raises(FileNotFoundException, match=re.escape(key)) as caught:
                await way()
            assert isinstance(caught.value, FileNotFoundError)
        assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []

    async def test_read_the_folder_of_a_file(self, storage: Storage) -> None:
        """A folder or half a name is not a file. A storage that chooses ids may refuse it as a name."""
        key = await storage.upload(_TEN, "folder/file.txt")
        refusals = (FileNotFoundException, *([InvalidArgumentException] if storage.chooses_ids else []))
        for name in (key.partition("/")[0], key.removesuffix(".txt"), f"{key}.bak", f"{key}-m", f"{key}/more"):
            if name != key:  # an id may have no folder, and no extension
                with pytest.raises(refusals):
                    await storage.read(name)

    async def test_read_side_by_side(self, storage: Storage) -> None:
        """Concurrent reads of one file do not disturb each other."""
        key = await storage.upload(CONTENT, "file.bin")
        found = await asyncio.gather(*(_read(storage.stream(key, n * 1000, 50_000, chunk_size=7000)) for n in range(9)))
        assert [fingerprint(part) for part in found] == [
            fingerprint(CONTENT[n * 1000 : n * 1000 + 50_000]) for n in range(9)
        ]

    @exact_keys
    async def test_read_under_way_gives_no_mixture(self, storage: Storage) -> None:
        """A read while the file is replaced returns one version of it, or raises an error."""
        old, new = bytes(LARGE), b"\1" * LARGE
        key = await storage.upload(old, "file.bin")
        async with aclosing(storage.stream(key, chunk_size=65_536)) as stream:
            begun = await anext(stream)
            await storage.upload(new, key)
            try:
                content = b"".join([begun, *[chunk async for chunk in stream]])
            except StorageException:
                return
        assert fingerprint(content) in {fingerprint(old), fingerprint(new)}

    async def test_read_abandoned(self, storage: Storage) -> None:
        """After 50 reads abandoned half-way, in every way, no file or socket is open, and the storage still works."""
        key = await storage.upload(bytes(2**20), "file.bin")
        await storage.read(key)
        before = await open_files()
        for abandon in islice(cycle((_break, _close, _cancel)), _ABANDONED):
            await abandon(storage.stream(key, chunk_size=4096))
        assert await no_more_open_files_than(before)
        assert await storage.get_size(key) == len(await storage.read(key))


async def _read(stream: AsyncGenerator[bytes]) -> bytes:
    async with aclosing(stream) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def _break(stream: AsyncGenerator[bytes]) -> None:
    async for _ in stream:
        break


async def _close(stream: AsyncGenerator[bytes]) -> None:
    await anext(stream)
    await stream.aclose()


async def _cancel(stream: AsyncGenerator[bytes]) -> None:
    await cancelled_at(3, _read(stream))
