"""What ids of FastDFS tell, offline."""

import base64
import struct
import zlib
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.fastdfs_ids import FastDFSDetails, FileKind, is_appender
from async_storages.ids import FileId
from async_storages.testing import FastDFSServer

APPENDER, TRUNK, SMALL = 1 << 58, 1 << 59, 1 << 63
LOCALHOST = IPv4Address("127.0.0.1")
MIB = 1 << 20


def file_id(
    masked=SMALL | 5, *, source=b"\x7f\0\0\1", created=1_600_000_000, crc32=0xC3431913, rest="0123456", group="g1"
):
    fields = struct.pack(">4sIQI", source, created, masked, crc32)
    return f"{group}/M00/1E/FF/{base64.urlsafe_b64encode(fields).decode().rstrip('=')}{rest}"


@pytest.mark.parametrize(
    ("text", "details"),
    [
        (
            "group1/M00/00/00/wKgDhF7zb-GAdBjQAAAADcNDGRM463.txt",
            ("group1", "normal", IPv4Address("192.168.3.132"), "2020-06-24 15:23:13", 13, 0xC3431913),
        ),
        (
            "group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin",
            ("group1", "normal", LOCALHOST, "2026-11-21 22:10:50", 100_000, 0xA572D2D0),
        ),
        (
            "group1/M00/00/20/fwAAAWsCGCKAJhtIAAAAA9er2IM886.log",
            ("group1", "normal", LOCALHOST, "2026-11-21 22:16:02", 3, 0xD7ABD883),
        ),
    ],
    ids=["of the issue", "100,000 bytes", "3 bytes"],
)
def test_ids_of_real_servers(text, details):
    group, kind, source, created, size, crc32 = details
    created_at = datetime.fromisoformat(created).replace(tzinfo=UTC)
    assert FileId.parse(text).details == FastDFSDetails(group, FileKind(kind), source, created_at, size, crc32)


@pytest.mark.parametrize("use_storage_id", [False, True], ids=["address", "storage id"])
@pytest.mark.parametrize("size", [0, 1, 100, 4096, 5 * MIB])
async def test_ids_that_a_server_gives(size, use_storage_id):
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    async with (
        FastDFSServer(use_storage_id=use_storage_id, clock=lambda: 1_600_000_000) as server,
        FastDFSCluster([server.tracker]) as client,
    ):
        for extension in ("", "a", "tar.gz"):
            found = FileId.parse(await client.upload(content, extension)).details
            source = 100_001 if use_storage_id else LOCALHOST
            expected = (FileKind.NORMAL, source, 1_600_000_000, size, zlib.crc32(content))
            assert (found.kind, found.source, found.created_at.timestamp(), found.size, found.crc32) == expected


@pytest.mark.parametrize("extension", ["", "txt", "a"])
async def test_appenders_and_slaves_do_not_tell(fastdfs_server, extension):
    """Nor does the slave of an appender; an appender made a normal file does."""
    async with FastDFSCluster([fastdfs_server.tracker]) as client:
        appender = await client.upload(b"content", extension, appender=True)
        slaves = [
            await client.upload_slave(b"longer content", master, "_small", extension)
            for master in (appender, await client.upload(b"content", extension))
        ]
        found = [FastDFSDetails.parse(each) for each in (appender, *slaves)]
        assert [each.kind for each in found] == [FileKind.APPENDER, FileKind.SLAVE, FileKind.SLAVE]
        assert {(each.size, each.crc32) for each in found} == {(None, None)}
        regenerated = FastDFSDetails.parse(await client.regenerate(appender))
        assert (regenerated.kind, regenerated.size, regenerated.crc32) == ("normal", 7, zlib.crc32(b"content"))


@pytest.mark.parametrize(
    ("masked", "size"),
    [
        (SMALL | 0x7FFFFF << 32, 0),
        (SMALL | 0x7FFFFF << 32 | 0xFFFF_FFFF, (1 << 32) - 1),
        (1 << 32, 1 << 32),
        ((1 << 40) + 5, (1 << 40) + 5),
    ],
    ids=["0", "4 GiB - 1", "4 GiB", "1 TiB + 5"],
)
def test_sizes_around_4_gib(masked, size):
    found = FastDFSDetails.parse(file_id(masked))
    assert (found.kind, found.size, found.crc32) == (FileKind.NORMAL, size, 0xC3431913)


@pytest.mark.parametrize("flags", [TRUNK, TRUNK | SMALL | 0x7FFFFF << 32], ids=["alone", "with random bits"])
@pytest.mark.parametrize("tail", ["0123456", "012.txt", "01234.a", ".tar.gz", ".a-b_c9"])
def test_files_in_trunk_files(flags, tail):
    place = "BAAAAAQAAAAAAAAA"
    found = FastDFSDetails.parse(file_id(flags | 5, rest=place + tail))
    assert (found.kind, found.size, found.crc32) == (FileKind.TRUNK, 5, 0xC3431913)
    slave = FastDFSDetails.parse(file_id(flags | 5, rest=f"{place}012_small.txt"))
    assert (slave.kind, slave.size, slave.crc32) == (FileKind.SLAVE, None, None)


@pytest.mark.parametrize(
    ("raw", "source"),
    [
        (b"\xc0\xa8\3\x84", IPv4Address("192.168.3.132")),
        (b"\xa1\x86\1\0", 100_001),
        (b"\1\0\0\0", 1),
        (b"\xff\xff\xff\0", (1 << 24) - 1),
        (b"\0\0\0\1", IPv4Address("0.0.0.1")),
        (b"\0\0\0\0", IPv4Address("0.0.0.0")),
    ],
    ids=["address", "id", "smallest id", "largest id", "smallest address", "nothing"],
)
def test_the_source_is_an_address_or_a_storage_id(raw, source):
    assert FastDFSDetails.parse(file_id(source=raw)).source == source


def test_times_are_unsigned():
    assert FastDFSDetails.parse(file_id(created=0xFFFF_FFFF)).created_at == datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)


TAILS = ["0123456", "01234.a", "0123.gz", "012.txt", "01.jpeg", "0.jpeg2", ".tar.gz", "01234.-", "0123._-", "012.a.b"]


@given(
    size=st.integers(0, (1 << 50) - 1) | st.integers(0, 1 << 20),
    random=st.integers(0, (1 << 23) - 1),
    created=st.integers(0, (1 << 32) - 1),
    crc32=st.integers(0, (1 << 32) - 1),
    tail=st.sampled_from(TAILS),
    group=st.from_regex("[A-Za-z0-9]{1,16}", fullmatch=True),
)
def test_what_was_encoded_is_decoded(size, random, created, crc32, tail, group):
    masked = size if size >= 1 << 32 else (random | 0x80000000) << 32 | size
    text = file_id(masked, created=created, crc32=crc32, rest=tail, group=group)
    created_at = datetime.fromtimestamp(created, UTC)
    assert FileId.parse(text).details == FastDFSDetails(group, FileKind.NORMAL, LOCALHOST, created_at, size, crc32)


@pytest.mark.parametrize("rest", ["", "012345", "01234567", "012.txt-m", "012_s.txt", "a12.txt", "0123.txt", ".a"])
def test_every_other_tail_is_no_normal_file(rest):
    found = FastDFSDetails.parse(file_id(rest=rest))
    assert (found.kind, found.size, found.crc32) == (FileKind.SLAVE, None, None)


@pytest.mark.parametrize(
    "text",
    ["", "a.txt", "s3:b/k", file_id(group=""), file_id(group="g" * 17), file_id(group="g-1"), file_id()[3:],
     file_id().replace("1E", "1e"), file_id()[:39], file_id() + "/a", file_id() + "\n", file_id() + "é"],
)  # fmt: skip
def test_what_is_no_such_id_tells_nothing(text):
    assert FastDFSDetails.parse(text) is None


@pytest.mark.parametrize("text", ["mem:" + file_id(), "s3:bucket/" + file_id(), "file:" + file_id()])
def test_ids_of_other_storages_tell_nothing(text):
    assert FileId.parse(text).details is None


@given(st.text() | st.from_regex(r"g1/M00/00/00/[\w-]{27}[\w.-]{0,30}", fullmatch=True))
def test_no_text_is_too_strange(text):
    FastDFSDetails.parse(text)


@given(st.integers(0, (1 << 64) - 1), st.sampled_from(["0123456", "12.tar", "0123456_small.bin", "?"]))
def test_appenders_are_told_quickly(masked, rest):
    text = file_id(masked, rest=rest)
    details = FastDFSDetails.parse(text)
    assert is_appender(text) == (details is not None and details.kind is FileKind.APPENDER)


@pytest.mark.parametrize("text", ["", "a", "a/b", "group1/M00/00/00/short", "s3:bucket/" + "E" * 60])
def test_what_is_no_id_is_no_appender(text):
    assert not is_appender(text)
