"""A download that is put together from the answers there are."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.backends.buckets.errors import FileChanged
from async_storages.backends.s3.download import S3Download
from async_storages.errors import ChecksumMismatchException, StorageOperationException, StorageUnavailableException

CONTENT = bytes(range(256))


def answer(asked, content=CONTENT, etag='"1"', **more):
    """What a server says to these headers, and the bytes."""
    if "Range" not in asked:
        return 200, {"Content-Length": str(len(content)), "ETag": etag, **more}, content
    first, _, last = asked["Range"].removeprefix("bytes=").partition("-")
    if first:
        part = range(len(content))[int(first) : int(last) + 1 if last else None]
    else:
        part = range(len(content))[-int(last) :]
    headers = {"Content-Range": f"bytes {part[0]}-{part[-1]}/{len(content)}", "ETag": etag, **more}
    return 206, headers, content[part[0] : part[-1] + 1]


def run(download, breaks=()):
    """Download to the end; the n-th answer breaks off after so many bytes."""
    received = b""
    for breaks_after in (*breaks, None):
        if download.is_complete:
            break
        status, headers, content = answer(download.headers())
        download.begin(status, headers)
        chunk = content[:breaks_after]
        download.add(chunk)
        received += chunk
        if breaks_after is None or breaks_after >= len(content):
            download.end()
    download.verify()
    return received


@given(
    st.one_of(
        st.tuples(st.integers(0, 255), st.none() | st.integers(1, 300)), st.tuples(st.integers(-256, -1), st.none())
    ),
    st.lists(st.integers(0, 100), max_size=5),
)
def test_however_it_breaks_the_bytes_are_right(part, breaks):
    offset, length = part
    assert run(S3Download(offset, length), breaks) == CONTENT[offset:][:length]


def test_what_is_missing_is_asked_for_of_the_same_version():
    download = S3Download(10, 20)
    assert download.headers() == {"Range": "bytes=10-29"}
    download.begin(206, {"Content-Range": "bytes 10-29/256", "ETag": '"1"'})
    assert download.headers() == {"Range": "bytes=10-29"}  # nothing came: it may as well be another version
    download.add(CONTENT[10:15])
    assert download.headers() == {"Range": "bytes=15-29", "If-Match": '"1"'}
    with pytest.raises(StorageUnavailableException, match="5 of 20 bytes"):
        download.end()


OTHERS = {
    "another version": (FileChanged, {"ETag": '"2"'}),
    "another range": (StorageOperationException, {"Content-Range": "bytes 0-255/256"}),
    "no range": (StorageOperationException, {"Content-Range": ""}),
}


@pytest.mark.parametrize(("error", "wrong"), OTHERS.values(), ids=OTHERS)
def test_a_resumption_that_gives_something_else_is_refused(error, wrong):
    download = S3Download(0, None)
    download.begin(*answer({})[:2])
    download.add(CONTENT[:5])
    status, headers, _ = answer(download.headers())
    with pytest.raises(error):
        download.begin(status, headers | wrong)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"Content-Range": "bytes 9-29/256"}),
        (206, {"Content-Range": "bytes */256"}),
        (206, {}),
    ],
)
def test_a_range_that_was_not_asked_for_is_refused(status, headers):
    with pytest.raises(StorageOperationException):
        S3Download(10, 20).begin(status, headers)


def test_a_range_of_an_empty_file_may_be_answered_as_the_whole():
    download = S3Download(10, 20)
    download.begin(200, {"Content-Length": "0"})
    download.end()
    assert download.is_complete


@pytest.mark.parametrize("headers", [{"Content-Length": "256"}, {"ETag": '"1"'}], ids=["no ETag", "no length"])
def test_what_cannot_be_resumed_says_so(headers):
    download = S3Download(0, None)
    download.begin(200, headers)
    download.add(CONTENT[:5])
    with pytest.raises(StorageOperationException, match="after 5 bytes"):
        download.headers()


def test_a_length_that_is_not_told_is_what_comes():
    download = S3Download(0, None)
    download.begin(200, {})
    download.add(CONTENT)
    assert not download.is_complete
    download.end()
    assert download.is_complete


def checked(stored, content=CONTENT, offset=0):
    download = S3Download(offset, None)
    status, headers, sent = answer(download.headers(), content)
    download.begin(status, headers | {"x-amz-checksum-crc32": stored})
    for start in range(0, len(sent), 100):
        download.add(sent[start : start + 100])
    download.end()
    download.verify()


def test_the_stored_checksum_must_hold():
    stored = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()
    checked(stored)
    checked("AAAAAA==-3")  # of the checksums of parts
    checked("AAAAAA==", offset=5)  # of more than came
    with pytest.raises(ChecksumMismatchException, match="was stored"):
        checked(stored, CONTENT[::-1])
