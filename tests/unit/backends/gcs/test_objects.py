"""What is said of a file, by GCS and to it."""

import pytest
from multidict import CIMultiDict

from async_storages.backends.gcs.answers import StoredObject
from async_storages.backends.gcs.download import GCSDownload
from async_storages.backends.gcs.objects import described_as, info_of, is_made_of, metadata_patch
from async_storages.backends.gcs.upload import related_body
from async_storages.backends.gcs.wire import local_target
from async_storages.errors import ChecksumMismatchException, StorageOperationException
from async_storages.ids import FileId

MD5 = "XUFAKrxLKna5cZ2REBfFkg=="  # of b"hello"
FILE = FileId("gs", "photos", "folder/0123456789abcdef_合同.txt")


def made(**more):
    return StoredObject.of({"name": FILE.key, "size": "5", "generation": "1", "md5Hash": MD5, **more})


def test_all_that_is_known_of_a_file():
    found = made(
        contentType="text/plain",
        updated="2026-11-22T09:06:46Z",
        storageClass="NEARLINE",
        metadata={"a": "合同"},
        etag="CJ=",
        cacheControl="no-cache",
        contentDisposition="attachment",
        contentEncoding="gzip",
        contentLanguage="de",
    )
    info = info_of(FILE, found)
    assert info.model_dump(exclude={"last_modify_time"}, exclude_none=True) == {
        "file_id": "gs:photos/folder/0123456789abcdef_合同.txt",
        "file_name": "合同.txt",
        "file_size": 5,
        "storage_class": "NEARLINE",
        "metadata": {"a": "合同"},
        "content_type": "text/plain",
        "etag": "5d41402abc4b2a76b9719d911017c592",
        "cache_control": "no-cache",
        "content_disposition": "attachment",
        "content_encoding": "gzip",
        "content_language": "de",
    }
    assert info.last_modify_time == found.updated


@pytest.mark.parametrize("md5", [None, "A", ""])
def test_an_object_made_of_others_has_another_etag(md5):
    assert info_of(FILE, made(md5Hash=md5, etag="CJ=")).etag == "CJ="


def test_a_file_with_a_customers_key_has_one_etag():
    """Listings do not tell its MD5."""
    key = {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", "etag": "CJ="}
    assert [info_of(FILE, made(**key, md5Hash=md5)).etag for md5 in (MD5, None)] == ["CJ=", "CJ="]


def test_a_copy_is_described_as_the_original_and_nobody_else_may_read_it():
    kept = {"contentType": "a/b", "contentEncoding": "gzip", "metadata": {"a": "1"}, "storageClass": "ARCHIVE"}
    assert described_as(made(**kept, acl=[{"entity": "allUsers"}], cacheControl="", etag="CJ=")) == kept


def test_metadata_that_is_taken_away_is_named():
    assert metadata_patch(made(metadata={"a": "1", "b": "2"}), {"b": "3"}) == {"a": None, "b": "3"}


@pytest.mark.parametrize(
    "other",
    [{"size": "6"}, {"md5Hash": "AAAA"}, {"md5Hash": None}, {"metadata": {"a": "2"}}, {"contentType": "text/html"}],
    ids=lambda other: next(iter(other)),
)
def test_another_file_is_not_taken_for_ones_own(other):
    described = {"contentType": "text/plain", "metadata": {"a": "1"}, "storageClass": "NEARLINE"}
    own = {"contentType": "text/plain", "metadata": {"a": "1"}}
    assert is_made_of(made(**own), described, 5, {"md5Hash": MD5})
    assert not is_made_of(made(**{**own, **other}), described, 5, {"md5Hash": MD5})


@pytest.mark.parametrize(("crc32c", "is_copy"), [("mnG7TA==", True), ("AAAAAA==", False), (None, False)])
def test_an_object_made_of_others_is_known_by_its_crc32c(crc32c, is_copy):
    found = made(md5Hash=None, crc32c=crc32c)
    assert is_made_of(found, {}, 5, {"md5Hash": None, "crc32c": "mnG7TA=="}) is is_copy
    assert not is_made_of(found, {}, 5, {"md5Hash": None, "crc32c": None})


# ---- uploads


@pytest.mark.parametrize("content", [b"", b"hello", b"\r\n--", b"\r\n\r\n", bytes(range(256))], ids=range(5))
def test_a_body_has_two_parts(content):
    headers, body = related_body({"name": "合同", "contentType": "a/b"}, content)
    boundary = headers["Content-Type"].removeprefix("multipart/related; boundary=").encode()
    assert body.count(boundary) == 3
    _, described, rest, end = body.split(b"--" + boundary)
    assert described.endswith(b'\r\n\r\n{"name": "\\u5408\\u540c", "contentType": "a/b"}\r\n')
    assert rest == b"\r\nContent-Type: a/b\r\n\r\n" + content + b"\r\n"
    assert end == b"--\r\n"


def test_a_session_is_asked_for_at_the_server_that_is_known():
    """Whatever host it names: tokens go nowhere else."""
    location = "https://elsewhere.example.com:9/upload/storage/v1/b/a/o?upload_id=x&name=a%2Fb"
    assert local_target(location) == "/upload/storage/v1/b/a/o?upload_id=x&name=a%2Fb"


@pytest.mark.parametrize("location", ["", "http://[", "mailto:a", "https://example.com", "?a=b"])
def test_a_session_without_a_place_is_none(location):
    with pytest.raises(StorageOperationException, match="without saying where"):
        local_target(location)


# ---- downloads


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
