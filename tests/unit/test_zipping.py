import asyncio
import io
import os
import shutil
import subprocess
import threading
import tracemalloc
import zipfile
import zlib
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

from async_storages import MemoryStorage
from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageOperationException
from async_storages.zipping import ZipEntry, stream_zip, zip_size
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES, zipped
from tests.support.streams import collect, stream
from tests.support.zip_readers import streaming_readers, summaries

CHUNK = bytes(range(256)) * 1024
NOON = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)
TESTERS = {"unzip": ["unzip", "-tqq"], "7z": ["7z", "t"], "7zz": ["7zz", "t"], "bsdtar": ["bsdtar", "-tf"]}


def archive(entries, **options) -> bytes:
    return asyncio.run(collect(stream_zip(entries, **options)))


def chunks(count: int, error: Exception | None = None):
    return lambda: stream(*[CHUNK] * count, *([error] if error else []))


def read(data: bytes) -> dict[str, bytes]:
    """The files by name, as Python reads them; it finds nothing wrong."""
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


def accepted_by(path: Path) -> dict[str, bool]:
    """What every reader that is installed says of an archive."""
    said = {"zipfile": True}
    try:
        with zipfile.ZipFile(path) as found:
            said["zipfile"] = found.testzip() is None
    except zipfile.BadZipFile:
        said["zipfile"] = False
    for name, command in TESTERS.items():
        if shutil.which(name):
            said[name] = subprocess.run([*command, path], check=False, capture_output=True).returncode == 0
    return said


# ---- what is in it


MIXED = {
    "sized": ZipEntry("sized.bin", chunks(3), 3 * len(CHUNK), NOON),
    "unknown": ZipEntry("unknown.bin", chunks(3)),
    "deflated": ZipEntry("deflated.bin", chunks(9), 9 * len(CHUNK), compress=True),
    "deflated-unknown": ZipEntry("deflated-unknown.bin", chunks(2), compress=True),
    "told": ZipEntry("told.bin", chunks(3), 3 * len(CHUNK), NOON, crc32=zlib.crc32(CHUNK * 3)),
    "told-deflated": ZipEntry("told-deflated.bin", chunks(2), 2 * len(CHUNK), NOON, True, zlib.crc32(CHUNK * 2)),
    "small": ZipEntry("folder/照片.txt", b"text", 4, NOON),
    "small-told": ZipEntry("small-told.txt", b"text", 4, NOON, crc32=zlib.crc32(b"text")),
    "odd": ZipEntry("odd.bin", lambda: stream(CHUNK[:65534], b"a", b"bcd", CHUNK), 65538 + len(CHUNK)),
    "whole-blocks": ZipEntry("blocks.bin", lambda: stream(CHUNK[:131_070]), 131_070),
    "empty-told": ZipEntry("empty-told", b"", 0, crc32=0),
    "empty": ZipEntry("empty", b"", 0),
    "empty-unknown": ZipEntry("empty-unknown", stream),
    "empty-deflated": ZipEntry("empty-deflated", b"", 0, compress=True),
    "empty-chunks": ZipEntry("chunks", lambda: stream(b"", b"a", b"", b"b", b"")),
}


@pytest.mark.parametrize("entries", [*([entry] for entry in MIXED.values()), [*MIXED.values()]], ids=[*MIXED, "all"])
def test_every_reader_finds_what_was_put_in(entries, tmp_path):
    data = archive(entries)
    contents = {entry.name: asyncio.run(content_of(entry)) for entry in entries}
    assert read(data) == contents
    (tmp_path / "a.zip").write_bytes(data)
    assert set(accepted_by(tmp_path / "a.zip").values()) == {True}
    for reader in streaming_readers():
        assert reader(tmp_path / "a.zip") == summaries(contents), reader


async def content_of(entry: ZipEntry) -> bytes:
    return await collect(entry.content()) if callable(entry.content) else entry.content


def test_an_archive_of_nothing_is_one():
    assert read(archive([])) == {}


async def test_one_file_can_be_there_twice():
    storage = MemoryStorage()
    await storage.upload(CHUNK, "a.bin")
    entry = ZipEntry("a.bin", partial(storage.stream, "a.bin"))
    assert read(await collect(stream_zip([entry, entry]))) == {"a.bin": CHUNK, "a_2.bin": CHUNK}


def test_whatever_can_be_uploaded_can_be_zipped(tmp_path):
    (tmp_path / "a").write_bytes(CHUNK)
    contents = [CHUNK, tmp_path / "a", io.BytesIO(CHUNK), [CHUNK], iter([CHUNK]), stream(CHUNK), lambda: stream(CHUNK)]
    entries = [ZipEntry(str(number), content, len(CHUNK)) for number, content in enumerate(contents)]
    assert set(read(archive(entries)).values()) == {CHUNK}


def test_files_keep_their_time_in_every_time_zone(tmp_path):
    times = {
        "utc": NOON,
        "tokyo": NOON.astimezone(timezone(timedelta(hours=9))),
        "naive": NOON.astimezone().replace(tzinfo=None),
        "none": None,
        "early": datetime(1979, 12, 31, tzinfo=UTC),
        "first": datetime.min.replace(tzinfo=timezone(timedelta(hours=9))),
        "late": datetime(2108, 1, 1, tzinfo=UTC),
        "last": datetime.max.replace(tzinfo=timezone(timedelta(hours=-9))),
    }
    data = archive([ZipEntry(name, b"x", 1, modified) for name, modified in times.items()])
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        dates = {info.filename: info.date_time for info in found.infolist()}
    assert dates["utc"] == dates["tokyo"] == dates["naive"] == (2026, 11, 22, 12, 0, 0)
    assert dates["none"] == dates["early"] == dates["first"] == (1980, 1, 1, 0, 0, 0)
    assert dates["late"] == dates["last"] == (2107, 12, 31, 23, 59, 58)
    (tmp_path / "a.zip").write_bytes(data)
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-q", "a.zip"], check=True, cwd=tmp_path, env={**os.environ, "TZ": "Asia/Tokyo"})
        assert {(tmp_path / name).stat().st_mtime for name in ("utc", "tokyo", "naive")} == {NOON.timestamp()}


# ---- names


def test_no_name_leads_out_or_over_another(tmp_path):
    names = [*GOOD_NAMES, *HOSTILE_NAMES.values(), "a\nb", "C:/x", "~/x", "A/./B", "a/b", "a/b/c"]
    data = archive([ZipEntry(name, name.encode("utf-8", "replace")) for name in names])
    found = read(data)
    assert [found[name] for name in GOOD_NAMES] == [name.encode() for name in GOOD_NAMES]
    assert len({name.casefold() for name in found}) == len(names)
    target = tmp_path / "inner"
    with zipfile.ZipFile(io.BytesIO(data)) as unpacked:
        unpacked.extractall(target)
    (tmp_path / "a.zip").write_bytes(data)
    assert set(accepted_by(tmp_path / "a.zip").values()) == {True}
    assert {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()} == set(found)
    assert {path.name for path in tmp_path.iterdir()} == {"inner", "a.zip"}


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a.txt", "a_3.txt", "a.txt"], ["a.txt", "a_3.txt", "a_2.txt"]),
        (["a.txt", "a.txt", "a_2.txt", "a.txt"], ["a.txt", "a_2.txt", "a_2_2.txt", "a_3.txt"]),
        (["a.txt", "A.TXT"], ["a.txt", "A_2.TXT"]),
        (["x/a.txt", "X/a.txt", "y/a.txt"], ["x/a.txt", "x/a_2.txt", "y/a.txt"]),
        (["a", "a/b", "a/c", "a_2"], ["a", "a_2/b", "a_2/c", "a_2_2"]),
        (["a/b", "a", "a"], ["a/b", "a_2", "a_3"]),
        (["", "..", "."], ["file", "file_2", "file_3"]),
        (["cafe\u0301", "caf\u00e9"], ["caf\u00e9", "caf\u00e9_2"]),
        (["y" * 300 + ".txt"] * 2, ["y" * 251 + ".txt", "y" * 236 + "_2.txt"]),
    ],
    ids=lambda names: str(names)[:40],
)
def test_a_name_is_there_once(names, unique):
    entries = [ZipEntry(name, b"", 0) for name in names]
    data = archive(entries)
    assert list(read(data)) == unique
    assert len(data) == zip_size(entries)


# ---- sizes


@pytest.mark.parametrize(
    "names",
    [
        *([], ["sized"], ["small"], ["told"], ["odd"], ["whole-blocks"], ["empty"], ["empty-told"], ["small-told"]),
        ["empty", "small", "sized", "sized", "told", "odd", "whole-blocks", "small-told"],
    ],
    ids=lambda names: "+".join(names) or "nothing",
)
def test_the_length_is_known_beforehand(names):
    entries = [MIXED[name] for name in names]
    assert len(archive(entries)) == zip_size(entries)


def test_what_is_known_before_is_stored_under_it():
    data = archive([MIXED["told"], MIXED["sized"], MIXED["small-told"], ZipEntry("unknown.txt", b"small")])
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        kinds = {info.filename: (info.compress_type, info.flag_bits & 8) for info in found.infolist()}
    assert kinds["told.bin"] == kinds["small-told.txt"] == kinds["unknown.txt"] == (zipfile.ZIP_STORED, 0)
    assert kinds["sized.bin"] == (zipfile.ZIP_DEFLATED, 8)


@pytest.mark.parametrize("crc32", [-1, 1 << 32, 1.0, "ff"])
def test_a_checksum_has_32_bits(crc32):
    with pytest.raises(InvalidArgumentException, match="crc32 must be a number of 32 bits"):
        ZipEntry("a", b"", crc32=crc32)


@pytest.mark.parametrize("name", ["unknown", "deflated"])
def test_the_length_is_unknown_if_one_is(name):
    assert zip_size([MIXED["sized"], MIXED[name]]) is None


def test_more_files_than_the_old_format_can_count(tmp_path):
    count = 65_536
    entries = [ZipEntry(f"{number}.txt", b"", 0) for number in range(count)]
    data = archive(entries)
    assert len(data) == zip_size(entries)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.namelist() == [entry.name for entry in entries]
        assert found.read("65535.txt") == b""
    (tmp_path / "a.zip").write_bytes(data)
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tqq", "a.zip", "65535.txt"], check=True, cwd=tmp_path)


def test_a_file_above_4_gib_and_what_follows_it(tmp_path):
    zeros = bytes(1 << 20)
    count = 4097
    entries = [
        ZipEntry("large.bin", lambda: stream(*[zeros] * count), count << 20, crc32=0xC6A48B28),
        ZipEntry("after.txt", b"after", 5),
    ]

    async def write() -> int:
        with (tmp_path / "a.zip").open("wb") as file:  # a sparse file: zeros are not written
            async for chunk in stream_zip(entries):
                file.seek(len(chunk), os.SEEK_CUR) if chunk is zeros else file.write(chunk)
            return file.tell()

    assert asyncio.run(write()) == zip_size(entries)
    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert [info.file_size for info in found.infolist()] == [count << 20, 5]
        assert found.getinfo("after.txt").header_offset > 1 << 32
        assert found.read("after.txt") == b"after"
        assert found.infolist()[0].CRC == 0xC6A48B28
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tqq", "a.zip", "after.txt"], check=True, cwd=tmp_path)


@pytest.mark.parametrize("size", [-1, 1.5, "7"])
def test_a_size_is_a_number_of_bytes(size):
    with pytest.raises(InvalidArgumentException, match="size must be a number of bytes"):
        ZipEntry("a", b"", size)


# ---- missing and failing files


BROKEN = StorageOperationException("the connection broke")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (ZipEntry("b", chunks(0, BROKEN)), "zip 'b': the connection broke"),
        (ZipEntry("b", chunks(2, BROKEN)), "zip 'b': the connection broke"),
        (ZipEntry("b", chunks(2, BROKEN), compress=True), "zip 'b': the connection broke"),
        (ZipEntry("b", chunks(2), 2 * len(CHUNK) + 1), "zip 'b': only 524288 of the announced 524289 bytes came"),
        (ZipEntry("b", chunks(2), 2 * len(CHUNK) - 1), "zip 'b': more than the announced 524287 bytes came"),
        (
            ZipEntry("b", chunks(2), 2 * len(CHUNK), crc32=5),
            "zip 'b': crc32 is [0-9a-f]{8}, but 00000005 was announced",
        ),
        (ZipEntry("b", chunks(2, BROKEN), 3 * len(CHUNK), crc32=5), "zip 'b': the connection broke"),
        (ZipEntry("b", "text"), "zip 'b': content cannot be a str"),
        (ZipEntry("b", chunks(1, LookupError("mine"))), "mine"),
        (ZipEntry(b"b", b""), "a name is a str, not bytes"),
    ],
    ids=["missing", "broken", "broken-deflated", "short", "long", "other", "told", "str", "foreign", "name"],
)
@pytest.mark.parametrize(
    "before",
    [CHUNK * 2, zipped({"word/document.xml": b"x" * 450_000}), zipped({"a.xml": b"x" * 500_000}) + bytes(100)],
    ids=["data", "zip", "padded-zip"],
)
async def test_no_reader_accepts_what_was_sent_before_a_failure(entry, reason, before, tmp_path):
    sent = bytearray()

    async def send() -> None:
        async for chunk in stream_zip([ZipEntry("a.docx", before), entry]):
            sent.extend(chunk)

    with pytest.raises((StorageOperationException, InvalidArgumentException, LookupError), match=reason):
        await send()
    assert sent
    await asyncio.to_thread((tmp_path / "a.zip").write_bytes, sent)
    assert set((await asyncio.to_thread(accepted_by, tmp_path / "a.zip")).values()) == {False}


async def test_a_missing_file_is_told_before_anything_was_sent():
    storage = MemoryStorage()
    pieces = stream_zip([ZipEntry("a", b"small"), ZipEntry("b", partial(storage.stream, "missing.txt"))])
    with pytest.raises(FileNotFoundException) as missing:
        await anext(pieces)
    assert missing.value.file_id == "mem:missing.txt"


DAMAGED = {
    "cut.bin": ZipEntry("cut.bin", chunks(2, BROKEN)),
    "deflated.bin": ZipEntry("deflated.bin", chunks(2, BROKEN), compress=True),
    "long.bin": ZipEntry("long.bin", chunks(2), 7),
    "sized.bin": ZipEntry("sized.bin", chunks(2, BROKEN), 3 * len(CHUNK)),
    "told.bin": ZipEntry("told.bin", chunks(2, BROKEN), 3 * len(CHUNK), crc32=zlib.crc32(CHUNK * 3)),
    "other.bin": ZipEntry("other.bin", chunks(2), 2 * len(CHUNK), crc32=5),
}


def test_what_failed_is_listed_and_nothing_cut_off_passes_for_whole(tmp_path):
    entries = [
        ZipEntry("a.txt", b"whole"),
        ZipEntry("missing.txt", partial(MemoryStorage().stream, "secret/key.txt")),
        ZipEntry("refused.txt", chunks(0, BROKEN)),
        *DAMAGED.values(),
        ZipEntry("errors.txt", b"mine"),
    ]
    data = archive(entries, on_error="list")
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        names = found.namelist()
        assert names == ["a.txt", *DAMAGED, "errors.txt", "ERRORS_2.txt"]
        assert (found.read("a.txt"), found.read("errors.txt")) == (b"whole", b"mine")
        assert found.read("ERRORS_2.txt").decode().splitlines() == [
            "missing.txt: not found",
            "refused.txt: could not be read",
            *(f"{name}: damaged, it could not be read to its end" for name in DAMAGED),
        ]
        for name in DAMAGED:
            with pytest.raises((zipfile.BadZipFile, EOFError, zlib.error)):
                found.read(name)
    (tmp_path / "a.zip").write_bytes(data)
    assert set(accepted_by(tmp_path / "a.zip").values()) == {False}


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_reader_that_cannot_seek_finds_what_follows_a_failed_file(damaged):
    """By the headers alone: what the readers at hand do at a wrong checksum is to give up."""
    data = archive([DAMAGED[damaged], ZipEntry("after.txt", b"after")], on_error="list")
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        one, after, _errors = found.infolist()
    end = one.header_offset + 30 + len(one.filename) + one.compress_size
    descriptor = 16 if one.flag_bits & 8 else 0
    assert data[end + descriptor :].startswith(b"PK\3\4")
    assert after.header_offset == end + descriptor
    if one.compress_type == zipfile.ZIP_DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        content = unpacker.decompress(data[end - one.compress_size : end])
        assert (len(content), unpacker.eof, unpacker.unused_data) == (one.file_size, True, b"")


def test_without_failures_nothing_is_listed():
    assert list(read(archive([MIXED["small"]], on_error="list"))) == ["folder/照片.txt"]


def test_an_error_that_is_no_storages_is_not_listed():
    with pytest.raises(LookupError):
        archive([ZipEntry("a", chunks(0, LookupError("mine")))], on_error="list")


# ---- streaming


class Sources:
    """Files of `count` chunks that note which of them are open."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.opened: list[str] = []
        self.open: set[str] = set()
        self.most_open = 0

    async def stream(self, name: str):
        self.opened.append(name)
        self.open.add(name)
        self.most_open = max(self.most_open, len(self.open))
        try:
            for _ in range(self.count):
                await asyncio.sleep(0)
                yield CHUNK
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                self.open.remove(name)

    def entries(self, names: str) -> list[ZipEntry]:
        return [ZipEntry(name, partial(self.stream, name)) for name in names]


@pytest.mark.parametrize("read_ahead", [0, 1, 3])
async def test_no_more_files_are_open_than_asked_for(read_ahead):
    sources = Sources(3)
    data = await collect(stream_zip(sources.entries("abcdef"), read_ahead=read_ahead))
    assert list(read(data)) == sources.opened == list("abcdef")
    assert sources.most_open == read_ahead + 1
    assert not sources.open


async def leave(pieces) -> None:
    await pieces.aclose()


async def cancel(pieces) -> None:
    task = asyncio.ensure_future(collect(pieces))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("go", [leave, cancel])
@pytest.mark.parametrize("seen", [1, 2, 3, 4, 5])
async def test_whoever_leaves_closes_everything(go, seen):
    sources = Sources(2)
    pieces = stream_zip(sources.entries("abcdef"), read_ahead=2)
    for _ in range(seen):
        await anext(pieces)
    await go(pieces)
    assert sources.opened
    assert not sources.open
    assert "f" not in sources.opened


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_whoever_is_cancelled_while_a_file_is_awaited_closes_everything(times):
    sources = Sources(1)

    hanging = asyncio.Event()

    async def hang():
        async with aclosing(sources.stream("b")) as chunks:
            async for chunk in chunks:
                hanging.set()
                await asyncio.Event().wait()
                yield chunk

    task = asyncio.ensure_future(collect(stream_zip([*sources.entries("a"), ZipEntry("b", hang)])))
    await hanging.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not sources.open


async def test_a_failure_closes_what_was_opened_ahead():
    sources = Sources(2)
    with pytest.raises(StorageOperationException):
        await collect(stream_zip([ZipEntry("a", chunks(1, BROKEN)), *sources.entries("bcd")], read_ahead=2))
    assert set(sources.opened) <= {"b", "c"}
    assert not sources.open


async def test_the_archive_is_never_in_memory():
    async def fresh():
        for number in range(512):
            yield bytes([number % 256]) * len(CHUNK)

    entries = [ZipEntry("a", fresh, 512 * len(CHUNK)), ZipEntry("b", fresh), ZipEntry("c", fresh, compress=True)]
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        length = 0
        async for piece in stream_zip(entries):
            length += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length > 256 << 20
    assert peak - before < 8 * len(CHUNK)


async def test_small_files_leave_together_and_large_chunks_as_they_are():
    large = ZipEntry("b", chunks(2), 2 * len(CHUNK), crc32=zlib.crc32(CHUNK * 2))
    pieces = [piece async for piece in stream_zip([*[ZipEntry("a", b"x" * 100)] * 2000, large])]
    assert pieces[-3:-1] == [CHUNK, CHUNK]
    assert all(len(piece) >= 131_072 for piece in pieces[:-4])
    assert all(pieces)


async def test_deflating_happens_off_the_loop(monkeypatch):
    threads = set()
    make = zlib.compressobj

    class Packer:
        def __init__(self, **options):
            self.packer = make(**options)

        def compress(self, data):
            threads.add(threading.current_thread())
            return self.packer.compress(data)

        def flush(self):
            threads.add(threading.current_thread())
            return self.packer.flush()

    monkeypatch.setattr(zlib, "compressobj", Packer)
    assert read(await collect(stream_zip([ZipEntry("a", CHUNK, compress=True)]))) == {"a": CHUNK}
    assert threads
    assert threading.current_thread() not in threads


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"on_error": "ignore"}, "on_error is 'abort' or 'list', not 'ignore'"),
        ({"read_ahead": -1}, "read_ahead is a number of files from 0, not -1"),
        ({"read_ahead": None}, "read_ahead is a number of files from 0, not None"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_at_once(options, reason):
    with pytest.raises(InvalidArgumentException, match=reason):
        stream_zip([], **options)
