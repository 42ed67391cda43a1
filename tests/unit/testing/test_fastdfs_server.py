"""A FastDFS server that answers as the real one does, to aiofdfs and byte by byte, and fails as it is told."""

import asyncio
import base64
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_storages.errors import InvalidArgumentException
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import FastDFSProcess, Fault, StoredFile, fastdfs_process
from async_storages.testing.fastdfs_server._disk import stored_files
from async_storages.testing.faults import FaultProxy, Reset, to_client
from tests.support.clock import JumpingClock
from tests.support.patience import HANGS

MIB = 1 << 20
NOW = 1_593_009_901
SIZES = [0, 1, 100, 4096, 5 * MIB]
NO_SUCH = b"M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"
G = b"group1".ljust(16, b"\0")


class Raw:
    """A client that sends bytes and reads responses, with a codec of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, command: int, body: bytes = b"", *, flags: int = 0, length: int | None = None) -> None:
        length = len(body) if length is None else length
        self.writer.write(length.to_bytes(8, "big") + bytes([command, flags]) + body)
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        header = await self.reader.readexactly(10)
        assert header[8] == 100
        return header[9], await self.reader.readexactly(int.from_bytes(header[:8], "big"))

    async def ask(self, command: int, body: bytes = b"", *, flags: int = 0) -> tuple[int, bytes]:
        await self.send(command, body, flags=flags)
        return await self.receive()

    async def done(self, command: int, body: bytes = b"", *, flags: int = 0) -> bytes:
        status, answer = await self.ask(command, body, flags=flags)
        assert status == 0
        return answer

    async def ended(self) -> bool:
        """Wait for the end of the connection, however it comes; nothing else may come."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True

    async def upload(self, content: bytes, ext: bytes = b"bin", *, appender: bool = False) -> bytes:
        answer = await self.done(23 if appender else 11, upload(content, ext))
        assert answer[:16] == G
        return answer[16:]

    async def download(self, name: bytes) -> bytes:
        return await self.done(14, bytes(16) + G + name)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Raw]:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def upload(content: bytes, ext: bytes = b"bin", path: int = 0, size: int | None = None) -> bytes:
    return struct.pack(">BQ6s", path, len(content) if size is None else size, ext) + content


def slave(master: bytes, content: bytes, prefix: bytes = b"_big", ext: bytes = b"jpg") -> bytes:
    return struct.pack(">QQ16s6s", len(master), len(content), prefix, ext) + master + content


def metadata(name: bytes, meta: bytes, flag: bytes = b"O", group: bytes = G) -> bytes:
    return struct.pack(">QQ", len(name), len(meta)) + flag + group + name + meta


def append(name: bytes, content: bytes) -> bytes:
    return struct.pack(">QQ", len(name), len(content)) + name + content


def modify(name: bytes, offset: int, content: bytes) -> bytes:
    return struct.pack(">QQQ", len(name), offset, len(content)) + name + content


def truncate(name: bytes, size: int) -> bytes:
    return struct.pack(">QQ", len(name), size) + name


def decoded(name: bytes) -> tuple[bytes, int, int, int]:
    """Source, timestamp, masked size and CRC-32, worked out with nothing of the server's."""
    raw = base64.b64decode(name[10:37].replace(b"-", b"+").replace(b"_", b"/") + b"=")
    numbers = [int.from_bytes(raw[start:end], "big") for start, end in ((4, 8), (8, 16), (16, 20))]
    return raw[:4], *numbers


def on_disk(server: FastDFSServer) -> set[str]:
    """Every file in the server's folder, whatever it is."""
    return {str(path.relative_to(server.folder)) for path in server.folder.rglob("*") if path.is_file()}


@pytest.fixture
async def server() -> AsyncIterator[FastDFSServer]:
    async with FastDFSServer(clock=lambda: NOW + 0.5) as server:
        yield server


@pytest.fixture
async def storage(server) -> AsyncIterator[Raw]:
    async with connected(server.storages[0].address) as raw:
        yield raw


@pytest.fixture
async def tracker(server) -> AsyncIterator[Raw]:
    async with connected(server.tracker) as raw:
        yield raw


@pytest.fixture(params=["storage", "tracker"])
def either(request, storage, tracker) -> Raw:
    return {"storage": storage, "tracker": tracker}[request.param]


# aiofdfs speaks FastDFS, and not only our dialect of it. It leaves sockets and tasks behind: in a process of its own.

AIOFDFS = """
import asyncio, sys, zlib
from pathlib import Path
from aiofdfs import Async_Fdfs_Client, FastDfsConf

async def main(tracker, folder):
    client = Async_Fdfs_Client(FastDfsConf(tracker))
    for path in sorted(Path(folder).glob("*.in")):
        content = path.read_bytes()
        by_name = (await client.upload_by_filename(str(path)))["file_id"]
        file_id = (await client.upload_by_buffer(content, "bin"))["file_id"] if content else by_name
        info = await client.query_file_info(file_id)
        assert info["file_size"] == len(content), info
        assert info["crc32"] & 0xFFFFFFFF == zlib.crc32(content), info
        assert info["source_ip"] == "127.0.0.1", info
        assert await client.get_meta_data(by_name) == {
            "OriginFileExtName": "in", "OriginFileName": path.name, "OriginFileSize": str(len(content))}
        if content:
            out = path.with_suffix(".out")
            await client.download_to_file(str(out), file_id)
            assert out.read_bytes() == content
            assert b"".join([piece async for piece in client.download_to_generator(by_name)]) == content
            await client.delete_file(by_name)
        await client.delete_file(file_id)
        try:
            await client.query_file_info(file_id)
        except Exception as error:
            assert "Error: 2 " in str(error), error
        else:
            raise AssertionError("still there")
    print("all done")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_aiofdfs_uploads_downloads_queries_and_deletes(fastdfs_server, tmp_path):
    for size in SIZES:
        (tmp_path / f"{size}.in").write_bytes(os.urandom(size))
    before = await fastdfs_server.files()
    run = [sys.executable, "-c", AIOFDFS, fastdfs_server.tracker, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, check=False, timeout=HANGS)
    assert (done.stdout, done.returncode) == ("all done\n", 0), done.stderr
    assert await fastdfs_server.files() == before


# Ids


@pytest.mark.parametrize("size", SIZES)
async def test_an_id_tells_source_time_size_and_checksum(size, server, storage):
    content = os.urandom(size)
    name = await storage.upload(content)
    source, timestamp, masked, crc = decoded(name)
    assert (source, timestamp, masked & 0xFFFFFFFF, crc) == (bytes([127, 0, 0, 1]), NOW, size, crc32(content))
    assert 0x80000000 <= masked >> 32 <= 0x807FFFFF
    [path] = server.folder.glob("group1/M00/data/00/00/*")
    assert path.name == name.decode()[10:]
    assert path.stat().st_mtime == NOW
    assert await server.files() == [StoredFile(f"group1/{name.decode()}", "normal", size, None)]


@pytest.mark.parametrize(
    ("ext", "tail"), [(b"", r"\d{7}"), (b"c", r"\d{5}\.c"), (b"jpg", r"\d{3}\.jpg"), (b"tar.gz", r"\.tar\.gz")]
)
async def test_an_id_ends_with_random_digits_and_the_extension(ext, tail, storage):
    names = {await storage.upload(b"", ext) for _ in range(3)}
    assert all(len(name) == 44 for name in names)
    assert len(names) == 3
    for name in names:
        assert re.fullmatch(tail, name[37:].decode())


async def test_an_appenders_id_says_so_and_nothing_of_its_size(storage, server):
    name = await storage.upload(b"12345", appender=True)
    masked = decoded(name)[2]
    assert masked & (1 << 58)
    assert masked & 0xFFFFFFFF == 0
    assert [file.kind for file in await server.files()] == ["appender"]


async def test_ids_can_name_storages_by_number():
    async with FastDFSServer(use_storage_id=True, storages_per_group=2) as server:
        for number, place in enumerate(server.storages, 100001):
            async with connected(place.address) as storage:
                name = await storage.upload(b"x")
                assert decoded(name)[0] == number.to_bytes(4, "little")
                assert (await storage.done(22, G + name))[24:] == b"127.0.0.1".ljust(16, b"\0")


async def test_ids_repeat_with_the_same_clock_and_randomness():
    names = []
    for _ in range(2):
        async with (
            FastDFSServer(clock=lambda: NOW, random=Random(1)) as server,
            connected(server.storages[0].address) as raw,
        ):
            names.append(await raw.upload(b"x"))
    assert names[0] == names[1]


async def test_a_file_that_is_deleted_while_files_are_listed(server, storage):
    """Neither it is there any more, nor does the list fail."""
    gone, stays = await storage.upload(b"gone"), await storage.upload(b"stays")

    class Folder(type(server.folder)):
        def glob(self, pattern):
            found = list(super().glob(pattern))
            for path in found:
                if path.name in gone.decode():
                    path.unlink()
            yield from found

    files = await asyncio.to_thread(stored_files, Folder(server.folder))
    assert [file.file_id for file in files] == [f"group1/{stays.decode()}"]


async def test_a_folder_takes_a_hundred_files(storage):
    names = [await storage.upload(b"x") for _ in range(101)]
    assert {name[:10] for name in names[:100]} == {b"M00/00/00/"}
    assert names[100][:10] == b"M00/00/01/"


# Tracker


@pytest.mark.parametrize("size", [15, 45])
@pytest.mark.parametrize(
    ("command", "body", "tail"),
    [
        pytest.param(101, b"", b"\0", id="store"),
        pytest.param(104, G, b"\0", id="store in group"),
        pytest.param(106, b"", b"\0", id="store, all"),
        pytest.param(107, G, b"\0", id="store in group, all"),
        pytest.param(102, G + NO_SUCH, b"", id="fetch"),
        pytest.param(103, G + NO_SUCH, b"", id="update"),
        pytest.param(105, G + NO_SUCH, b"", id="fetch, all"),
    ],
)
async def test_a_tracker_names_storages(command, body, tail, size):
    async with FastDFSServer(address_size=size, storages_per_group=2) as server, connected(server.tracker) as tracker:
        places = [
            b"127.0.0.1".ljust(size, b"\0") + int(storage.address.split(":")[1]).to_bytes(8, "big")
            for storage in server.storages
        ]
        answers = [await tracker.done(command, body) for _ in places]
    if command in {105, 106, 107}:
        places = [b"".join(places)] * 2
    assert [answer.removesuffix(tail) for answer in answers] == [G + place for place in places]
    assert len(answers[0]) == 16 + (size + 8) * (len(places[0]) // (size + 8)) + len(tail)


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        pytest.param(101, b"x", 22, id="store with a body"),
        pytest.param(104, b"group9".ljust(16, b"\0"), 2, id="store in unknown group"),
        pytest.param(104, b"\xff" * 16, 2, id="store in no group"),
        pytest.param(104, b"group1", 22, id="store in short group"),
        pytest.param(102, b"group9".ljust(16, b"\0") + NO_SUCH, 2, id="fetch from unknown group"),
        pytest.param(102, G + b"x" * 21, 22, id="fetch short name"),
        pytest.param(103, G + b"x" * 128, 22, id="update long name"),
        pytest.param(105, b"", 22, id="fetch nothing"),
        pytest.param(91, b"x", 22, id="list groups with a body"),
        pytest.param(92, b"", 22, id="list no storages"),
        pytest.param(92, G + b"127.0.0.2", 2, id="list unknown storage"),
        pytest.param(111, b"x", 22, id="active test with a body"),
    ],
)
async def test_a_tracker_refuses(command, body, status, tracker):
    assert await tracker.ask(command, body) == (status, b"")
    assert await tracker.done(111) == b""


async def test_groups_take_turns():
    async with FastDFSServer(groups=("a", "b"), trackers=2) as server:
        for address in server.trackers:
            async with connected(address) as tracker:
                named = [(await tracker.done(101))[:16].rstrip(b"\0") for _ in range(4)]
                assert named == [b"a", b"b", b"a", b"b"]


@pytest.mark.parametrize("size", [15, 45])
async def test_groups_and_storages_are_listed(size):
    async with (
        FastDFSServer(groups=("a", "b"), storages_per_group=2, address_size=size) as server,
        connected(server.tracker) as tracker,
    ):
        groups = await tracker.done(91)
        assert [groups[start : start + 17].rstrip(b"\0") for start in (0, 113)] == [b"a", b"b"]
        assert len(groups) == 226
        assert struct.unpack(">12Q", groups[17:113])[4] == 2
        assert await tracker.done(90, b"b".ljust(16, b"\0")) == groups[113:]
        storages = await tracker.done(92, b"a".ljust(16, b"\0") + b"127.0.0.1")
        assert len(storages) == 2 * (2 + 16 + size + 1 + 16 + 8 + 10 * 8 + 3 * 4 + 42 * 8 + 1)
        assert storages[18 : 18 + size + 1].rstrip(b"\0") == b"127.0.0.1"


async def test_a_tracker_answers_all_of_pipelined_requests(tracker):
    await tracker.send(111, length=0)
    await tracker.send(101)
    await tracker.send(111)
    assert [(await tracker.receive())[0] for _ in range(3)] == [0, 0, 0]


# Storage: files


@pytest.mark.parametrize("address_size", [15, 45])
@pytest.mark.parametrize("content", [b"The quick brown fox", b"a"], ids=["negative crc", "positive crc"])
async def test_a_file_is_described(content, address_size):
    async with (
        FastDFSServer(clock=lambda: NOW, address_size=address_size) as server,
        connected(server.storages[0].address) as storage,
    ):
        answer = await storage.done(22, G + await storage.upload(content))
    size, mtime, crc = struct.unpack(">QQq", answer[:24])
    assert (size, mtime, crc & 0xFFFFFFFF) == (len(content), NOW, crc32(content))
    assert (crc < 0) == (crc32(content) >= 1 << 31)
    assert answer[24:] == b"127.0.0.1".ljust(address_size + 1, b"\0")


@pytest.mark.parametrize(
    ("offset", "count", "status", "body"),
    [
        pytest.param(0, 0, 0, b"0123456789", id="all"),
        pytest.param(3, 0, 0, b"3456789", id="to the end"),
        pytest.param(3, 2, 0, b"34", id="range"),
        pytest.param(9, 100, 0, b"9", id="clamped"),
        pytest.param(10, 0, 22, b"", id="at the end"),
        pytest.param(-1, 0, 22, b"", id="negative offset"),
        pytest.param(0, -1, 22, b"", id="negative count"),
    ],
)
async def test_ranges(offset, count, status, body, storage):
    name = await storage.upload(b"0123456789")
    assert await storage.ask(14, struct.pack(">qq", offset, count) + G + name) == (status, body)


async def test_an_empty_file_cannot_be_downloaded(storage):
    assert await storage.ask(14, bytes(16) + G + await storage.upload(b"")) == (22, b"")


async def test_a_large_file_goes_through_whole(storage, server):
    content = os.urandom(3 * MIB + 7)
    name = await storage.upload(content)
    assert await storage.download(name) == content
    assert await storage.done(14, struct.pack(">qq", 5, 2 * MIB) + G + name) == content[5 : 5 + 2 * MIB]
    assert len(on_disk(server)) == 1


async def test_a_deleted_file_is_gone_with_its_metadata(storage, server):
    name = await storage.upload(b"x")
    await storage.done(13, metadata(name, b"k\2v"))
    await storage.done(12, G + name)
    assert on_disk(server) == set()
    assert await storage.ask(12, G + name) == (2, b"")


async def test_requests_may_come_a_byte_at_a_time(storage):
    body = upload(b"content")
    for byte in len(body).to_bytes(8, "big") + bytes([11, 0]) + body:
        storage.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    status, answer = await storage.receive()
    assert status == 0
    assert await storage.download(answer[16:]) == b"content"


async def test_storages_of_a_group_have_the_same_files_and_other_groups_have_not():
    async with FastDFSServer(groups=("group1", "group2"), storages_per_group=2) as server:
        first, second, other, _ = (storage.address for storage in server.storages)
        async with connected(first) as one, connected(second) as two, connected(other) as three:
            name = await one.upload(b"x")
            assert await two.download(name) == b"x"
            assert await three.ask(12, b"group2".ljust(16, b"\0") + name) == (2, b"")


async def test_store_paths_are_chosen_by_index():
    async with FastDFSServer(store_paths=2) as server, connected(server.storages[0].address) as storage:
        paths = [(await storage.done(11, upload(b"x", path=path)))[16:19] for path in (1, 0, 255, 255)]
        assert paths == [b"M01", b"M00", b"M00", b"M01"]
        assert await storage.ask(11, upload(b"x", path=2)) == (22, b"")


# Storage: refusals

NAMED = {12: b"", 14: bytes(16), 15: b"", 22: b""}


@pytest.mark.parametrize("command", NAMED)
@pytest.mark.parametrize(
    ("group", "name", "status"),
    [
        pytest.param(G, NO_SUCH, 2, id="missing"),
        pytest.param(b"group2".ljust(16, b"\0"), NO_SUCH, 22, id="wrong group"),
        pytest.param(G, b"M01" + NO_SUCH[3:], 22, id="path index out of range"),
        pytest.param(G, b"M00/00/00/..", 22, id="dots"),
        pytest.param(G, b"M00/../00/" + NO_SUCH[10:], 22, id="dots in the folder"),
        pytest.param(G, b"M00/0a/00/" + NO_SUCH[10:], 22, id="lower-case hex"),
        pytest.param(G, b"M00/00/00/a/" + NO_SUCH[10:], 22, id="extra slash"),
        pytest.param(G, NO_SUCH + b"\0", 2, id="NUL"),
        pytest.param(G, NO_SUCH[:-1] + b"\xe4", 2, id="other characters"),
        pytest.param(G, b"X" + NO_SUCH[1:], 22, id="no M"),
        pytest.param(G, NO_SUCH + b"x" * 90, 22, id="long"),
        pytest.param(G, b"", 22, id="empty"),
        pytest.param(b"", b"", 22, id="nothing at all"),
    ],
)
async def test_a_name_that_cannot_be_is_refused(command, group, name, status, storage):
    assert await storage.ask(command, NAMED[command] + group + name) == (status, b"")
    assert await goes_on(storage) == (status == 2)


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        pytest.param(11, upload(b"x", path=1), 22, id="path index"),
        pytest.param(11, upload(b"x", size=2), 22, id="size too large"),
        pytest.param(11, upload(b"xyz", size=2), 22, id="size too small"),
        pytest.param(11, upload(b"x", b"a/b"), 22, id="extension"),
        pytest.param(11, b"short", 22, id="short upload"),
        pytest.param(13, metadata(NO_SUCH, b"k\2v"), 2, id="metadata of missing file"),
        pytest.param(13, metadata(NO_SUCH, b"k\2v", b"X"), 22, id="metadata flag"),
        pytest.param(13, metadata(NO_SUCH, b"k\2v") + b"x", 22, id="metadata length"),
        pytest.param(13, metadata(NO_SUCH, b"k\2v", group=bytes(16)), 22, id="metadata group"),
        pytest.param(13, struct.pack(">QQ", 1 << 63, 1 << 63) + b"O" + G, 22, id="metadata lengths overflow"),
        pytest.param(14, b"short", 22, id="short download"),
        pytest.param(21, slave(NO_SUCH, b"x"), 2, id="slave of missing master"),
        pytest.param(21, slave(b"M00/00/00/x", b"x"), 22, id="slave of no master"),
        pytest.param(21, slave(NO_SUCH, b"x", prefix=b""), 22, id="slave without prefix"),
        pytest.param(21, slave(NO_SUCH, b"x", prefix=b"/"), 22, id="slave prefix"),
        pytest.param(21, slave(NO_SUCH, b"x", prefix=b"-m", ext=b""), 22, id="slave like metadata"),
        pytest.param(24, append(NO_SUCH, b"x"), 2, id="append to missing"),
        pytest.param(24, append(b"M00/00/00/x", b"x"), 22, id="append to short name"),
        pytest.param(34, modify(NO_SUCH, 0, b"x"), 2, id="modify missing"),
        pytest.param(36, truncate(NO_SUCH, 0), 2, id="truncate missing"),
        pytest.param(38, NO_SUCH, 2, id="regenerate missing"),
        pytest.param(111, b"x", 22, id="active test with a body"),
    ],
)
async def test_a_storage_refuses_and_goes_on_unless_it_says_22(command, body, status, storage, server):
    assert await storage.ask(command, body) == (status, b"")
    assert await goes_on(storage) == (status == 2)
    assert on_disk(server) == set()


async def goes_on(storage) -> bool:
    await storage.send(111)
    try:
        return await storage.receive() == (0, b"")
    except (asyncio.IncompleteReadError, ConnectionError):
        return False


async def test_an_unknown_command_is_the_end_of_the_connection_to_a_storage(storage):
    assert await storage.ask(200, b"what?") == (22, b"")
    assert await storage.ended()


async def test_a_tracker_goes_on_after_an_unknown_command(tracker):
    assert await tracker.ask(200, b"what?") == (22, b"")
    assert await tracker.done(111) == b""


async def test_quitting_is_not_answered(either):
    await either.send(82)
    assert await either.ended()


async def test_a_large_upload_that_is_refused_is_not_read(storage):
    await storage.send(11, upload(b"", path=7, size=5 * MIB), length=15 + 5 * MIB)
    assert await storage.receive() == (22, b"")
    assert await storage.ended()


async def test_too_much_metadata_is_refused(storage):
    name = await storage.upload(b"x")
    meta = b"\1".join(b"%04d\2" % number + b"x" * 250 for number in range(1100))
    await storage.send(13, metadata(name, meta)[:100], length=len(metadata(name, meta)))
    assert await storage.receive() == (22, b"")
    assert await storage.ended()


@pytest.mark.parametrize("command", [11, 21, 23, 24, 34])
@pytest.mark.parametrize("size", [100, MIB])
async def test_content_that_ends_half_way_leaves_nothing(command, size, server):
    async with connected(server.storages[0].address) as storage:
        name = await storage.upload(b"before", appender=True)
        bodies = {11: upload, 21: lambda x: slave(name, x), 23: upload, 24: lambda x: append(name, x)}
        body = bodies.get(command, lambda x: modify(name, 0, x))(bytes(size))
        await storage.send(command, body[: -size // 2], length=len(body))
        storage.writer.write_eof()
        assert await storage.ended()
    assert {path.rpartition("/")[2] for path in on_disk(server)} == {name[10:].decode()}
    assert [file.size for file in await server.files()] == [6]


async def test_a_storage_answers_all_of_pipelined_requests(storage):
    storage.writer.write((bytes(8) + bytes([111, 0])) * 3)
    assert [await storage.receive() for _ in range(3)] == [(0, b"")] * 3


# Storage: metadata


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        pytest.param([(b"O", b"b\2x\1a\2y")], b"a\2y\1b\2x", id="sorted"),
        pytest.param([(b"O", b"a\2x\1B\2y\1b\2z")], b"B\2y\1a\2x\1b\2z", id="by byte"),
        pytest.param([(b"O", b"a\2x"), (b"O", b"b\2y")], b"b\2y", id="overwritten"),
        pytest.param([(b"O", b"a\2x\1b\2y"), (b"M", b"b\2z\1c\2w")], b"a\2x\1b\2z\1c\2w", id="merged"),
        pytest.param([(b"M", b"a\2x")], b"a\2x", id="merged with nothing"),
        pytest.param([(b"O", b"a\2x"), (b"M", b"")], b"a\2x", id="nothing merged"),
        pytest.param([(b"O", b"a\2x"), (b"O", b"")], None, id="deleted"),
        pytest.param([(b"O", b"")], None, id="nothing deleted"),
        pytest.param([(b"O", b"a\2x\1a\2y")], b"a\2x\1a\2y", id="duplicates"),
        pytest.param([(b"O", b"a\2x\1")], b"a\2x\0", id="trailing separator"),
        pytest.param([(b"O", b"k" * 64 + b"\2" + b"v" * 256)], b"k" * 64 + b"\2" + b"v" * 256, id="largest"),
    ],
)
async def test_metadata(steps, kept, storage):
    name = await storage.upload(b"x")
    for flag, meta in steps:
        await storage.done(13, metadata(name, meta, flag))
    assert await storage.ask(15, G + name) == ((2, b"") if kept is None else (0, kept))
    if kept is not None:
        assert await storage.download(name + b"-m") == kept
        assert struct.unpack(">Q", (await storage.done(22, G + name + b"-m"))[:8]) == (len(kept),)


@pytest.mark.parametrize(
    ("meta", "begins"),
    [
        pytest.param(b"k" * 70 + b"\2v", b"k" * 64 + b"\2v\0", id="key"),
        pytest.param(b"k\2" + b"v" * 300, b"k\2" + b"v" * 256 + b"\0", id="value"),
        pytest.param(b"dropped\1k\2v", b"k\2v\0", id="no separator"),
    ],
)
async def test_metadata_that_is_too_long_is_followed_by_garbage(meta, begins, storage):
    name = await storage.upload(b"x")
    await storage.done(13, metadata(name, meta))
    kept = await storage.done(15, G + name)
    assert kept.startswith(begins)
    assert len(kept) == len(meta)


# Storage: slaves and appenders


@pytest.mark.parametrize(
    ("master_ext", "stem"), [(b"png", slice(-4)), (b"", slice(None)), (b"tar.gz", slice(-7))], ids=str
)
@pytest.mark.parametrize(("ext", "tail"), [(b"jpg", b"_enlarged.jpg"), (b"", b"_enlarged")])
async def test_a_slave_is_named_after_its_master(master_ext, stem, ext, tail, storage, server):
    master = await storage.upload(b"master", master_ext)
    answer = await storage.done(21, slave(master, b"a slave", b"_enlarged", ext))
    assert answer == G + master[stem] + tail
    name = answer[16:]
    assert await storage.download(name) == b"a slave"
    assert {file.file_id.encode()[7:]: file.kind for file in await server.files()} == {master: "normal", name: "slave"}
    computed = struct.unpack(">QQq", (await storage.done(22, G + name))[:24])[2]
    assert computed & 0xFFFFFFFF == crc32(b"a slave")
    as_named = struct.unpack(">QQq", (await storage.done(22, G + name, flags=1))[:24])[2]
    assert as_named & 0xFFFFFFFF == crc32(b"master")
    assert await storage.ask(21, slave(master, b"again", b"_enlarged", ext)) == (17, b"")


async def test_a_slave_with_a_name_no_longer_than_a_masters_passes_for_a_master(storage, server):
    master = await storage.upload(b"master", b"png")
    name = (await storage.done(21, slave(master, b"a slave", b"_big", b"")))[16:]
    assert len(name) == len(master)
    crc = struct.unpack(">QQq", (await storage.done(22, G + name))[:24])[2]
    assert crc & 0xFFFFFFFF == crc32(b"master")
    assert {file.kind for file in await server.files()} == {"normal"}


async def test_an_appender_is_appended_to_modified_truncated_and_made_normal(storage, server):
    name = await storage.upload(b"0123", b"log", appender=True)
    await storage.done(13, metadata(name, b"k\2v"))
    await storage.done(24, append(name, b"456789"))
    for command, body in ((24, append(name, b"")), (34, modify(name, 4, b"")), (36, truncate(name, 10))):
        assert len(await storage.done(command, body)) == len(body)  # nothing to do: as long as what was asked
    await storage.done(34, modify(name, 10, b"AB"))
    await storage.done(34, modify(name, 2, b"__"))
    assert await storage.download(name) == b"01__456789AB"
    await storage.done(36, truncate(name, 14))
    assert await storage.download(name) == b"01__456789AB\0\0"
    await storage.done(36, truncate(name, 5))
    crc = struct.unpack(">QQq", (await storage.done(22, G + name))[:24])[2]
    assert crc & 0xFFFFFFFF == crc32(b"01__4")
    new = (await storage.done(38, name))[16:]
    assert new.endswith(b".log")
    assert (decoded(new)[2] & 0xFFFFFFFF, decoded(new)[3]) == (5, crc32(b"01__4"))
    assert await storage.download(new) == b"01__4"
    assert await storage.ask(22, G + name) == (2, b"")
    assert sorted(await server.files(), key=lambda file: file.kind) == [
        StoredFile(f"group1/{new.decode()}", "normal", 5, None),
        StoredFile(f"group1/{name.decode()}-m", "slave", 3, None),
    ]
    assert await storage.ask(34, modify(new, 6, b"x")) == (22, b"")


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (24, lambda name: append(name, b"x")),
        (34, lambda name: modify(name, 0, b"x")),
        (36, lambda name: truncate(name, 0)),
        (38, lambda name: name),
    ],
)
async def test_a_normal_file_is_not_changed(command, body, storage, server):
    name = await storage.upload(b"x")
    async with connected(server.storages[0].address) as other:
        assert await other.ask(command, body(name)) == (22, b"")
    assert await storage.download(name) == b"x"


async def test_appends_at_the_same_time_are_all_kept_whole(server, storage):
    name = await storage.upload(b"", appender=True)
    pieces = [bytes([number]) * 300_000 for number in range(4)]

    async def send(piece: bytes) -> None:
        async with connected(server.storages[0].address) as raw:
            await raw.done(24, append(name, piece))

    await asyncio.gather(*map(send, pieces))
    content = await storage.download(name)
    assert sorted(content[start : start + 300_000] for start in range(0, 1_200_000, 300_000)) == pieces


# Connections


@pytest.fixture
async def clock(server, monkeypatch) -> JumpingClock:
    loop = asyncio.get_running_loop()
    clock = JumpingClock(loop)
    monkeypatch.setattr(loop._selector, "select", clock.select)
    monkeypatch.setattr(loop, "time", clock.time)
    return clock


async def test_a_client_that_asks_for_nothing_is_turned_out(clock, either):
    before = clock.now
    assert await either.ended()
    assert clock.now - before == pytest.approx(61, abs=1)


async def test_a_client_that_has_asked_may_be_idle(clock, either):
    assert await either.done(111) == b""
    await asyncio.sleep(3600)
    assert await either.done(111) == b""


async def test_the_patience_with_idle_clients_can_be_chosen():
    async with FastDFSServer(idle_timeout=0.01) as server, connected(server.tracker) as silent:
        assert await silent.ended()


async def test_connections_are_counted(server):
    async with connected(server.tracker) as raw:
        await raw.done(111)
        assert server.connections == {server.tracker: 1, server.storages[0].address: 0}


async def test_a_stopped_storage_refuses_and_comes_back_with_its_files(server, storage, tracker):
    address = server.storages[0].address
    name = await storage.upload(b"x")
    for _ in range(2):
        await server.stop(address)
    assert await storage.ended()
    with pytest.raises(ConnectionRefusedError):
        async with connected(address):
            pass
    assert await tracker.done(101)
    server.restart(address)
    server.restart(address)
    async with connected(address) as again:
        assert await again.download(name) == b"x"


async def test_a_proxy_can_be_put_before_a_storage(server, tracker):
    address = server.storages[0].address
    async with FaultProxy("127.0.0.1", int(address.split(":")[1]), raw=True) as proxy:
        server.advertise({address: f"127.0.0.1:{proxy.address[1]}"})
        answer = await tracker.done(101)
        assert int.from_bytes(answer[31:39], "big") == proxy.address[1]
        proxy.inject(Reset(), to_client(5))
        async with connected(f"127.0.0.1:{proxy.address[1]}") as storage:
            await storage.send(111)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await storage.receive()


async def test_a_given_folder_is_kept(tmp_path):
    async with FastDFSServer(folder=tmp_path) as server, connected(server.storages[0].address) as storage:
        name = await storage.upload(b"x")
    async with FastDFSServer(folder=tmp_path) as server, connected(server.storages[0].address) as storage:
        assert await storage.download(name) == b"x"
    assert list(tmp_path.rglob("*.bin"))


async def test_a_temporary_folder_goes_with_the_server():
    async with FastDFSServer() as server:
        assert server.folder.exists()
    assert not server.folder.exists()
    await server.aclose()
    async with server, connected(server.tracker) as tracker:
        assert await tracker.done(101)
        assert server.connections[server.tracker] == 1
        assert len(server.connections) == 2


@pytest.mark.parametrize(
    "options",
    [{"groups": ()}, {"groups": ("a/b",)}, {"groups": ("x" * 17,)}, {"trackers": 0}, {"address_size": 16}],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(InvalidArgumentException):
        FastDFSServer(**options)


# Faults


async def test_a_status_is_answered_instead_of_doing_it(server, storage, tracker):
    full = server.inject(Fault(status=5), 11, times=2)
    none = server.inject(Fault(status=2), at=server.tracker)
    for _ in range(2):
        assert await storage.ask(11, upload(b"x")) == (5, b"")
    assert await tracker.ask(101) == (2, b"")
    assert await tracker.done(101)
    assert on_disk(server) == set()
    assert await storage.upload(b"x")
    assert (full.fired, none.fired) == (2, 1)


async def test_a_full_disk_does_not_read_what_does_not_fit(server, storage):
    server.inject(Fault(status=17), 11)
    await storage.send(11, upload(b"", size=5 * MIB), length=15 + 5 * MIB)
    assert await storage.receive() == (17, b"")
    assert await storage.ended()


async def test_what_follows_an_upload_that_finds_the_disk_full_is_taken_for_requests(server, storage):
    name = await storage.upload(b"of somebody")
    server.set_free(4)
    hostile = struct.pack(">QBB", 16 + len(name), 12, 0) + G + name
    await storage.send(11, upload(hostile, size=5 * MIB), length=15 + 5 * MIB)
    assert [await storage.receive() for _ in range(2)] == [(28, b""), (0, b"")]
    assert await server.files() == []


@pytest.mark.parametrize("size", [3, MIB])
@pytest.mark.parametrize("cut", [0, 5, 10, 11])
async def test_an_answer_is_cut(cut, size, server, storage):
    name = await storage.upload(bytes(size))
    server.inject(Fault(cut=cut), 14)
    await storage.send(14, bytes(16) + G + name)
    assert await storage.reader.read() == (size.to_bytes(8, "big") + b"\x64\0\0")[:cut]


async def test_an_answer_shorter_than_the_cut_is_whole(server, storage):
    server.inject(Fault(cut=11), times=None)
    assert await storage.done(111) == b""
    assert await storage.done(111) == b""


async def test_an_answer_is_stalled_until_released(server, storage):
    stall = server.inject(Fault(stall=True), 11)
    await storage.send(11, upload(b"x"))
    await stall.wait_fired()
    async with connected(server.storages[0].address) as other:
        await other.upload(b"y")
    stall.release()
    assert (await storage.receive())[0] == 0
    assert len(await server.files()) == 2


async def test_closing_ends_what_is_stalled():
    async with FastDFSServer() as server, connected(server.storages[0].address) as storage:
        name = await storage.upload(bytes(MIB))
        stall = server.inject(Fault(stall=True), times=None)
        await storage.send(14, bytes(16) + G + name)
        await stall.wait_fired()
    assert stall.fired == 1


async def test_nothing_goes_wrong_once_all_is_released(server, tracker):
    server.inject(Fault(status=5), times=None)
    assert await tracker.ask(101) == (5, b"")
    server.release()
    assert await tracker.done(101)


@pytest.mark.parametrize(
    "fault",
    [{}, {"status": 0}, {"status": 256}, {"cut": -1}, {"status": 2, "cut": 0}, {"status": 2, "stall": True}],
    ids=str,
)
def test_a_fault_is_one_thing(fault):
    with pytest.raises(InvalidArgumentException):
        Fault(**fault)


async def test_what_concerns_nothing_is_refused(server):
    with pytest.raises(InvalidArgumentException, match="nothing of this server"):
        server.inject(Fault(status=5), at="127.0.0.1:1")
    with pytest.raises(InvalidArgumentException, match="nothing of this server"):
        await server.stop("127.0.0.1:1")
    with pytest.raises(InvalidArgumentException, match="1 or more"):
        server.inject(Fault(status=5), times=0)
    with pytest.raises(InvalidArgumentException, match="storage servers"):
        server.advertise({server.tracker: "127.0.0.1:1"})
    with pytest.raises(InvalidArgumentException, match="at most 15"):
        server.advertise({server.storages[0].address: "a-host.example.com:1"})


# Noise

COMMANDS = [*range(9, 39), *range(82, 93), *range(100, 112)]
PACKETS = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda command, body: len(body).to_bytes(8, "big") + bytes([command, 0]) + body,
        st.sampled_from(COMMANDS),
        st.one_of(
            st.binary(max_size=120),
            st.binary(max_size=60).map(lambda tail: G + NO_SUCH + tail),
            st.binary(max_size=60).map(lambda tail: bytes(7) + b"\x2c" + bytes(7) + b"\1" + tail),
        ),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.lists(PACKETS, max_size=3).map(b"".join))
async def test_noise_is_answered_or_ends_the_connection(noise, server):
    for address in (server.tracker, server.storages[0].address):
        async with connected(address) as raw:
            raw.writer.write(noise)
            raw.writer.write_eof()
            with suppress(ConnectionResetError):
                await raw.reader.read()
        async with connected(address) as raw:
            assert await raw.done(111) == b""
    assert {path for path in on_disk(server) if "incoming" in path} == set()


# A process of its own


@pytest.mark.parametrize("how", ["input", "terminated", "interrupted"])
def test_the_command_serves_until_it_is_told_to_end(how, tmp_path):
    command = [sys.executable, "-m", "async_storages.testing.fastdfs_server"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        host, _, port = process.stdout.readline().strip().partition(":")
        assert (host, port.isdecimal()) == ("127.0.0.1", True)
        assert Path(process.stdout.readline().strip()).exists()
        if how == "input":
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM if how == "terminated" else signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def process(tmp_path) -> Iterator[FastDFSProcess]:
    with fastdfs_process("--address-size=45", f"--folder={tmp_path}", "--groups=a,b") as process:
        yield process


async def test_a_process_takes_options_and_tells_what_it_stores(process, tmp_path):
    async with connected(process.tracker) as tracker:
        answer = await tracker.done(101)
        assert len(answer) == 70
    async with connected(f"127.0.0.1:{int.from_bytes(answer[61:69], 'big')}") as storage:
        name = (await storage.done(11, upload(b"x")))[16:].decode()
    assert await process.files() == [StoredFile(f"a/{name}", "normal", 1, None)]
    assert (tmp_path / f"a/{name.replace('/', '/data/', 1)}").read_bytes() == b"x"


def test_a_process_that_does_not_start_says_so(capfd):
    with pytest.raises(RuntimeError, match="did not start"), fastdfs_process("--address-size=7"):
        pass
    assert "invalid choice" in capfd.readouterr().err
