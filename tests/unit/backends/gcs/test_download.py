"""Downloads from GCS: ranges, versions and checksums."""

import pytest
from multidict import CIMultiDict

from async_storages.backends.gcs.download import GCSDownload
from async_storages.errors import ChecksumMismatchException, StorageOperationException

MD5 = "XUFAKrxLKna5cZ2REBfFkg=="  # of b"hello"


def test_what_is_missing_is_asked_for_of_the_same_version():
    download = GCSDownload(10, 20)
    assert (download.query(), download.headers()["Range"]) == ({"alt": "media"}, "bytes=10-29")
    download.begin(206, {"Content-Range": "bytes 10-29/256", "X-Goog-Generation": "17"})
    download.add(b"12345")
    assert download.query() == {"alt": "media", "ifGenerationMatch": "17"}
    assert download.headers()["Range"] == "bytes=15-29"


@pytest.mark.parametrize(("offset", "length"), [(-5, None), (-9, None), (0, 5), (0, 9)])
def test_a_range_that_is_all_may_be_answered_without_one(offset, length):
    download = GCSDownload(offset, length)
    download.begin(200, {"Content-Length": "5"})
    download.add(b"hello")
    assert download.is_complete


OTHERS = {
    "less": (206, {"Content-Range": "bytes 1-2/5"}),
    "more": (206, {"Content-Range": "bytes 1-4/5"}),
    "others": (206, {"Content-Range": "bytes 0-2/5"}),
}


@pytest.mark.parametrize(("status", "headers"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize(("offset", "length"), [(1, 3), (-3, None)], ids=["range", "suffix"])
def test_another_range_is_refused(offset, length, status, headers):
    with pytest.raises(StorageOperationException, match="another range"):
        GCSDownload(offset, length).begin(status, headers)


@pytest.mark.parametrize("headers", [{"Content-Length": "5"}, {}], ids=["of known size", "of unknown size"])
def test_the_range_is_taken_where_all_is_answered(headers):
    download = GCSDownload(1, 3)
    download.begin(200, headers)
    assert (download.add(b"h"), download.add(b"el"), download.add(b"lo")) == (b"", b"el", b"l")
    assert download.is_complete
    assert download.has_surplus


def test_a_suffix_of_what_is_of_unknown_size_cannot_be_taken():
    with pytest.raises(StorageOperationException, match="without saying how much"):
        GCSDownload(-3, None).begin(200, {})


HASHES = {
    "both in one": [("X-Goog-Hash", f"crc32c=mnG7TA==, md5={MD5}")],
    "one by one": [("x-goog-hash", "crc32c=mnG7TA=="), ("x-goog-hash", f"md5={MD5}")],
}


@pytest.mark.parametrize("hashes", HASHES.values(), ids=HASHES)
def test_the_stored_checksum_must_hold(hashes):
    for content, fits in ((b"hello", True), (b"other", False)):
        download = GCSDownload(0, None)
        download.begin(200, CIMultiDict([("Content-Length", "5"), *hashes]))
        download.add(content)
        if fits:
            download.verify()
        else:
            with pytest.raises(ChecksumMismatchException, match="md5 is"):
                download.verify()


@pytest.mark.parametrize("said", ["", "crc32c=mnG7TA==", "md5"])
def test_without_a_checksum_there_is_nothing_to_hold(said):
    download = GCSDownload(0, None)
    download.begin(200, {"Content-Length": "5", "X-Goog-Hash": said})
    download.add(b"hello")
    download.verify()
