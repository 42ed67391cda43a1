"""Write: every kind of content, and every kind of failure. After a failure nothing has changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256, shake_256
from io import BytesIO, IOBase
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from async_storages.content import Content, ContentOptions
from async_storages.errors import (
    ChecksumMismatchException,
    FileExistsException,
    FileTooLargeException,
    InvalidArgumentException,
    StorageException,
)
from async_storages.storage.base import Storage
from async_storages.testing.contract.base import ContractGroup, exact_keys, fingerprint
from async_storages.testing.contract.cancellation import every_cancellation
from async_storages.testing.contract.sources import (
    BROKEN,
    CONTENT,
    KINDS,
    LARGE,
    BrokenSourceError,
    pieces_later,
)

__all__ = ["WriteContract"]

_SIZE = len(CONTENT)

_REFUSED: dict[str, tuple[ContentOptions, type[StorageException]]] = {
    "declared too large": ({"size": _SIZE + 1}, InvalidArgumentException),
    "declared too small": ({"size": _SIZE - 1}, InvalidArgumentException),
    "larger than allowed": ({"max_size": _SIZE - 1}, FileTooLargeException),
    "smaller than required": ({"min_size": _SIZE + 1}, InvalidArgumentException),
    "wrong sha256": ({"expected": {"sha256": "0" * 64}}, ChecksumMismatchException),
    "wrong crc32": ({"expected": {"crc32": "0" * 8}}, ChecksumMismatchException),
}

_NEW_AND_EXISTING = pytest.mark.parametrize("replaces", [False, True], ids=["new key", "existing file"])


class WriteContract(ContractGroup):
    """`write`, `upload`, `save`."""

    @pytest.fixture(params=KINDS)
    def source(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
        """Return the content in each form."""
        path = tmp_path / "source.bin"
        path.write_bytes(CONTENT)
        source = KINDS[request.param](path)
        yield source
        if isinstance(file := getattr(source, "file", source), IOBase):
            file.close()

    async def test_write_from(self, storage: Storage, source: Any) -> None:
        """Content in any form is stored whole. The caller's file stays open."""
        key = await storage.upload(source, "file.bin")
        assert fingerprint(await storage.read(key)) == fingerprint(CONTENT)
        assert await storage.get_size(key) == _SIZE
        assert not getattr(getattr(source, "file", source), "closed", False)

    async def test_write_from_where_a_file_stands(self, storage: Storage) -> None:
        """A file is stored from its current position on, as `read` would return it."""
        file = BytesIO(CONTENT)
        file.seek(1000)
        key = await storage.upload(file, "file.bin")
        assert fingerprint(await storage.read(key)) == fingerprint(CONTENT[1000:])

    async def test_write_again_after_a_failure(self, storage: Storage) -> None:
        """After a failed write, the next attempt stores the file whole, from its first position."""
        file = BytesIO(CONTENT)
        file.seek(1000)
        with pytest.raises(FileTooLargeException):
            await storage.upload(file, "file.bin", max_size=_SIZE - 2000)
        key = await storage.upload(file, "file.bin")
        assert fingerprint(await storage.read(key)) == fingerprint(CONTENT[1000:])

    async def test_write_what_can_be_read_only_once(self, storage: Storage) -> None:
        """A used-up source is refused, because it would store an empty or a partial file."""
        content = pieces_later(CONTENT)
        key = await storage.upload(content, "file.bin")
        async with self.unchanged(storage, key):
            with pytest.raises(InvalidArgumentException, match="only once"):
                await storage.upload(content, "file.bin")

    @pytest.mark.parametrize(
        "empty", [bytes, list, BytesIO, lambda: pieces_later(b"")], ids=["bytes", "list", "file", "async iterator"]
    )
    async def test_write_nothing(self, storage: Storage, empty: Callable[[], Any]) -> None:
        """A file may be empty."""
        key = await storage.upload(empty(), "empty.bin")
        assert await storage.read(key) == b""
        assert await storage.get_size(key) == 0

    @pytest.mark.parametrize("declared", [None, LARGE], ids=["unknown size", "declared size"])
    async def test_write_large(self, storage: Storage, declared: int | None) -> None:
        """Content of more than one part of a multipart upload is stored whole."""
        content = shake_256(b"large").digest(LARGE)
        saved = await storage.save(pieces_later(content), "large.bin", size=declared)
        assert fingerprint(await saved.read()) == fingerprint(content)
        assert saved.known_size == await saved.get_size() == LARGE

    async def test_write_with_checksums_that_hold(self, storage: Storage) -> None:
        """Correct sizes and checksums are accepted."""
        expected = {"sha256": sha256(CONTENT).hexdigest().upper(), "crc32": f"{crc32(CONTENT):08x}"}
        key = await storage.upload(
            pieces_later(CONTENT), "file.bin", size=_SIZE, min_size=_SIZE, max_size=_SIZE, expected=expected
        )
        assert fingerprint(await storage.read(key)) == fingerprint(CONTENT)

    async def test_write_what_is_no_content(self, storage: Storage) -> None:
        """Text, None and numbers are refused. Text could be a path that a client sent."""
        async with self.unchanged(storage, "file.bin"):
            for wrong in ("/etc/passwd", None, 5, {"a": 1}, ["text"]):
                with pytest.raises(InvalidArgumentException):
                    await storage.upload(wrong, "file.bin")  # type: ignore[arg-type] # the point of the test

    @exact_keys
    @pytest.mark.parametrize("size", [0, _SIZE, LARGE], ids=["empty", "small", "large"])
    async def test_write_whose_end_is_held(self, storage: Storage, size: int) -> None:
        """A file does not exist before the storage has got the end of its content."""
        content, existed = shake_256(b"held").digest(size), list[bool]()

        async def until() -> None:
            existed.append(await storage.exists("held.bin"))

        async with Content(pieces_later(content)) as body:
            body.hold_end(until)
            await storage.upload(body, "held.bin")
        assert existed[0] is False
        assert fingerprint(await storage.read("held.bin")) == fingerprint(content)

    @exact_keys
    @pytest.mark.parametrize("size", [0, _SIZE], ids=["empty", "small"])
    async def test_write_whose_end_never_comes(self, storage: Storage, size: int) -> None:
        """Content that fails at its very end changes nothing."""

        async def until() -> None:
            raise BrokenSourceError

        async with self.unchanged(storage, "held.bin"), Content(pieces_later(bytes(size))) as body:
            body.hold_end(until)
            with pytest.raises(BrokenSourceError):
                await storage.upload(body, "held.bin")

    # ---- over what is there

    @exact_keys
    async def test_write_replaces(self, storage: Storage) -> None:
        """A later upload replaces content, type and metadata of the earlier one."""
        await _occupy(storage, "file.txt")
        assert await storage.upload(b"new", "file.txt", metadata={"b": "2"}) == "file.txt"
        assert await storage.read("file.txt") == b"new"
        info = await storage.stat("file.txt")
        assert (info.file_size, info.content_type, info.metadata) == (3, "text/plain", {"b": "2"})

    @exact_keys
    async def test_write_without_overwriting(self, storage: Storage) -> None:
        """`overwrite=False` stores under a free key, and changes nothing under a taken key."""
        key = await storage.upload(b"old", "file.txt", overwrite=False, metadata={"version": "old"})
        async with self.unchanged(storage, key):
            with pytest.raises(FileExistsException, match=r"file\.txt"):
                await storage.upload(b"new", key, overwrite=False)
        await storage.delete(key)
        assert await storage.upload(b"new", key, overwrite=False) == key

    @exact_keys
    async def test_write_two_at_once_to_one_key(self, storage: Storage) -> None:
        """If two uploads use one key, one of them wins. Content, size, type and metadata come from the same upload."""
        versions = {"a": (b"a" * 100_000, "text/x-a"), "b": (b"b" * 300_000, "text/x-b")}
        for turn in range(10):
            uploads = [
                storage.upload(pieces_later(data), "file.bin", content_type=kind, metadata={"version": version})
                for version, (data, kind) in sorted(versions.items(), reverse=turn % 2 == 0)
            ]
            await asyncio.gather(*uploads)
            info, content = await storage.stat("file.bin"), await storage.read("file.bin")
            data, kind = versions[info.metadata["version"]]
            assert (info.file_size, info.content_type) == (len(data), kind)
            assert fingerprint(content) == fingerprint(data)

    @exact_keys
    async def test_write_two_at_once_without_overwriting(self, storage: Storage) -> None:
        """If several uploads use `overwrite=False`, exactly one succeeds, and its content is stored."""
        for turn in range(10):
            key = f"file{turn}.bin"
            uploads = [storage.upload(pieces_later(bytes([n]) * 100), key, overwrite=False) for n in range(4)]
            outcomes = await asyncio.gather(*uploads, return_exceptions=True)
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["FileExistsException"] * 3 + ["str"]
            assert await storage.read(key) == bytes([outcomes.index(key)]) * 100

    # ---- that fails

    @_NEW_AND_EXISTING
    @pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
    async def test_write_from_a_source_that_raises(
        self, storage: Storage, broken: Callable[[], Any], *, replaces: bool
    ) -> None:
        """The storage raises the source's own error, and an earlier file stays."""
        async with self._attempt(storage, replaces=replaces) as key:
            with pytest.raises(BrokenSourceError):
                await storage.upload(broken(), key)

    @_NEW_AND_EXISTING
    @pytest.mark.parametrize(("options", "error"), _REFUSED.values(), ids=_REFUSED)
    async def test_write_what_is_not_as_declared(
        self, storage: Storage, options: ContentOptions, error: type[StorageException], *, replaces: bool
    ) -> None:
        """A wrong size, limit or checksum is an error, and nothing is stored."""
        async with self._attempt(storage, replaces=replaces) as key:
            for source in (pieces_later(CONTENT), CONTENT):
                with pytest.raises(error):
                    await storage.upload(source, key, **options)

    async def test_write_cancelled_anywhere(self, storage: Storage) -> None:
        """A write of a new file, cancelled at any of its awaits, leaves nothing."""
        nothing = await self.state(storage, "file.bin")
        async for _ in every_cancellation(lambda: storage.upload(pieces_later(CONTENT), "file.bin")):
            assert await self.state(storage, "file.bin") == nothing

    @exact_keys
    async def test_write_cancelled_anywhere_over_a_file(self, storage: Storage) -> None:
        """A write over a file, cancelled at any of its awaits, leaves one whole version."""
        new = {"version": "new"}
        await _occupy(storage, "file.bin")
        old = await self.state(storage, "file.bin")
        async for _ in every_cancellation(lambda: storage.upload(pieces_later(CONTENT), "file.bin", metadata=new)):
            if (await storage.stat("file.bin")).metadata == new:
                assert fingerprint(await storage.read("file.bin")) == fingerprint(CONTENT)
                await _occupy(storage, "file.bin")
                old = await self.state(storage, "file.bin")
            assert await self.state(storage, "file.bin") == old

    @asynccontextmanager
    async def _attempt(self, storage: Storage, *, replaces: bool) -> AsyncIterator[str]:
        """Yield a free or taken key. Check that nothing changes under it, and that no uploaded file remains."""
        key = "folder/file.bin"
        taken = await _occupy(storage, key) if replaces else key
        async with self.unchanged(storage, taken):
            yield key


async def _occupy(storage: Storage, key: str) -> str:
    return await storage.upload(b"old", key, content_type="text/x-old", metadata={"a": "1"})
