"""A download that is put together from the replies there are."""

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.backends.fastdfs.download import FastDFSDownload
from async_storages.backends.fastdfs.statuses import ProtocolError
from async_storages.errors import ChecksumMismatchException, InvalidArgumentException

CONTENT = bytes(range(100))


def id_of(content=CONTENT, *, flags=1 << 63, rest="012.bin"):
    fields = struct.pack(">4sIQI", b"\x7f\0\0\1", 1, flags | len(content), zlib.crc32(content))
    return f"group1/M00/00/00/{base64.urlsafe_b64encode(fields).decode().rstrip('=')}{rest}"


APPENDER = id_of(b"", flags=1 << 63 | 1 << 58)
TRUNK = id_of(flags=1 << 59, rest="BAAAAAQAAAAAAAAA012.bin")
SLAVE = id_of(rest="012_small.bin")
FOREIGN = "group1/M00/00/00/longer-than-it-must-be"


def run(download, content=CONTENT, breaks=()):
    """Download to the end; the n-th reply breaks off after so many bytes."""
    received = b""
    for breaks_after in (*breaks, None):
        head = download.request().head
        offset, count = struct.unpack(">QQ", head[10:26])
        answer = content[offset : offset + count if count else None]
        download.begin(len(answer))
        chunk = answer[:breaks_after]
        download.add(chunk)
        received += chunk
        if chunk == answer:
            break
    download.verify()
    return received


@pytest.mark.parametrize("offset", [0, 1, 99])
@pytest.mark.parametrize("length", [None, 1, 2, 99, 100, 101, 1 << 70])
@pytest.mark.parametrize("file_id", [id_of(), APPENDER, SLAVE, FOREIGN], ids=["normal", "appender", "slave", "foreign"])
def test_ranges(file_id, offset, length):
    assert run(FastDFSDownload(file_id, offset, length)) == CONTENT[offset:][:length]


@given(st.integers(0, 99), st.none() | st.integers(1, 120), st.lists(st.integers(0, 30), max_size=6))
def test_any_number_of_breaks(offset, length, breaks):
    download = FastDFSDownload(id_of(), offset, length)
    assert run(download, breaks=breaks) == CONTENT[offset:][:length]
    assert download.can_resume


@pytest.mark.parametrize(
    ("file_id", "can_resume"),
    [(id_of(), True), (TRUNK, True), (SLAVE, True), (APPENDER, False), (FOREIGN, False)],
    ids=["normal", "trunk", "slave", "appender", "foreign"],
)
def test_what_may_have_changed_is_not_resumed(file_id, can_resume):
    download = FastDFSDownload(file_id, 0, None)
    assert download.can_resume
    download.begin(100)
    assert download.can_resume is can_resume


@pytest.mark.parametrize("length", [0, 89, 91, 1 << 63])
def test_the_rest_has_the_length_that_is_missing(length):
    download = FastDFSDownload(id_of(), 0, None)
    download.begin(100)
    download.add(CONTENT[:10])
    with pytest.raises(ProtocolError, match=f"{length} bytes from 10 on are not what was asked for"):
        download.begin(length)


def test_no_more_comes_than_was_asked_for():
    with pytest.raises(ProtocolError, match="11 bytes from 5 on"):
        FastDFSDownload(id_of(), 5, 10).begin(11)


@pytest.mark.parametrize("length", [None, 100, 1000])
def test_other_bytes_are_noticed(length):
    with pytest.raises(ChecksumMismatchException, match=f"but {zlib.crc32(CONTENT):08x} was stored"):
        run(FastDFSDownload(id_of(), 0, length), content=CONTENT[:-1] + b"x")


@pytest.mark.parametrize(("offset", "length"), [(0, None), (10, None), (0, 100), (0, 1000), (50, 50)])
def test_an_end_too_early_is_noticed(offset, length):
    with pytest.raises(ChecksumMismatchException, match="it ended at byte 99, but was stored with 100"):
        run(FastDFSDownload(id_of(), offset, length), content=CONTENT[:-1])


@pytest.mark.parametrize(("offset", "length"), [(0, None), (10, None)])
def test_bytes_too_many_are_noticed(offset, length):
    with pytest.raises(ChecksumMismatchException, match="it ended at byte 101, but was stored with 100"):
        run(FastDFSDownload(id_of(), offset, length), content=CONTENT + b"x")


@pytest.mark.parametrize(("offset", "length"), [(0, None), (0, 1), (0, 100), (5, 10)])
@pytest.mark.parametrize("file_id", [APPENDER, SLAVE, FOREIGN], ids=["appender", "slave", "foreign"])
def test_nothing_is_known_of_some(file_id, offset, length):
    assert (
        run(FastDFSDownload(file_id, offset, length), content=b"something else") == b"something else"[offset:][:length]
    )


@pytest.mark.parametrize("offset", [0, 1, 1 << 70])
def test_where_nothing_is_left_nothing_came(offset):
    """FastDFS refuses to send it; the download is over then."""
    FastDFSDownload(id_of(b""), offset, None).verify()


def test_a_malformed_id_is_refused_at_once():
    with pytest.raises(InvalidArgumentException):
        FastDFSDownload("a.txt", 0, None)
