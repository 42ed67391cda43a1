"""File information in headers and listings, and recognising copies."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_storages.backends.s3 import file_info
from async_storages.backends.s3.file_info import is_copy_of_version, is_unchanged
from async_storages.errors import StorageOperationException
from async_storages.ids import FileId

FILE = FileId("s3", "photos", "a/0123456789abcdef_b.txt")
HEAD = {"Content-Length": "5", "ETag": '"e"', "Last-Modified": "Sun, 22 Nov 2026 01:10:48 GMT", "Content-Type": "a/b"}


def info(**headers):
    return file_info.info_of(FILE, HEAD | {name.replace("_", "-"): value for name, value in headers.items()})


def test_what_headers_say():
    said = {"Cache_Control": "no-cache", "Content_Disposition": "attachment", "Content_Encoding": "gzip"}
    said |= {"Content_Language": "de", "Expires": "Sun, 22 Nov 2026 01:10:49 GMT"}
    found = info(x_amz_storage_class="GLACIER", X_Amz_Meta_Author="Ada", **said)
    assert found.model_dump() == {
        "file_id": "s3:photos/a/0123456789abcdef_b.txt",
        "file_name": "b.txt",
        "file_size": 5,
        "last_modify_time": datetime(2026, 11, 22, 1, 10, 48, tzinfo=UTC),
        "storage_class": "GLACIER",
        "metadata": {"author": "Ada"},
        "content_type": "a/b",
        "etag": "e",
        "cache_control": "no-cache",
        "content_disposition": "attachment",
        "content_encoding": "gzip",
        "content_language": "de",
        "expires": datetime(2026, 11, 22, 1, 10, 49, tzinfo=UTC),
    }


@given(st.dictionaries(st.just("a"), st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]))))
@example({"a": ""})
@example({"a": "=?utf-8?q?x?="})
@example({"a": "合同 № 1: «ёж» 🎉"})
@example({"a": "a  b"})
def test_metadata_comes_back(metadata):
    headers = file_info.metadata_headers(metadata)
    assert all(value and value.isascii() for value in headers.values())
    assert file_info.info_of(FILE, HEAD | headers).metadata == metadata


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("plain", "plain"),
        ("=?ISO-8859-1?Q?caf=E9?=", "café"),
        ("=?nope?B?w6Q=?=", "=?nope?B?w6Q=?="),
        ("=?UTF-8?B?/w==?=", "=?UTF-8?B?/w==?="),
        ("café", "café"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\ufffd"),
    ],
    ids=ascii,
)
def test_metadata_that_others_wrote_is_read_as_well_as_can_be(written, read):
    assert info(x_amz_meta_a=written).metadata == {"a": read}


@pytest.mark.parametrize("size", ["", "-1", "5x", "٥"], ids=ascii)
def test_a_file_without_a_size_is_none(size):
    with pytest.raises(StorageOperationException):
        file_info.info_of(FILE, HEAD | {"Content-Length": size})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Thu, 29 Feb 2024 23:59:59 GMT", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun, 06 Nov 1994 10:49:37 +0200", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun, 30 Feb 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:4x:37 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("soon", None),
        ("", None),
    ],
)
def test_the_time_of_a_file_is_what_can_be_read_of_it(written, read):
    assert info(Last_Modified=written).last_modify_time == read


def test_a_copy_is_described_as_its_original():
    kept = {"Content-Type": "a/b", "Cache-Control": "no-store", "Content-Disposition": "inline", "Expires": "0"}
    kept |= {"Content-Encoding": "gzip", "Content-Language": "de", "x-amz-storage-class": "GLACIER"}
    found = HEAD | kept | {"x-amz-meta-a": "=?UTF-8?B?w6Q=?=", "Server": "S3"}
    assert file_info.described_headers(found) == kept | {"x-amz-meta-a": "=?UTF-8?B?w6Q=?="}
    assert file_info.described_headers(found, {"b": "2"}) == kept | {"x-amz-meta-b": "2"}


@pytest.mark.parametrize(
    ("made", "metadata", "expected"),
    [
        (HEAD, None, True),
        (HEAD | {"ETag": '"other"'}, None, False),
        (HEAD | {"ETag": '"other"', "x-amz-checksum-crc32": "c"}, None, True),
        (HEAD | {"Content-Length": "6"}, None, False),
        (HEAD | {"ETag": '"other"', "x-amz-meta-a": "1"}, {"a": "1"}, True),
        (HEAD, {"a": "1"}, False),
        ({"Content-Length": "5"}, None, False),
    ],
)
def test_what_may_be_taken_for_a_copy(made, metadata, expected):
    assert file_info.is_copy(made, HEAD | {"x-amz-checksum-crc32": "c"}, metadata) is expected


ONE, OTHER = "1" * 32, "2" * 32
KMS = {"x-amz-server-side-encryption": "aws:kms"}
PLAIN = {"x-amz-server-side-encryption": "AES256"}
OWN_KEY = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}

CASES = {
    "same": (ONE, {}, {"ETag": f'"{ONE}"'}, True),
    "another": (OTHER, {}, {"ETag": f'"{ONE}"'}, False),
    "another, encrypted by S3": (OTHER, PLAIN, {"ETag": f'"{ONE}"', **PLAIN}, False),
    "of parts": (OTHER, {}, {"ETag": f'"{ONE}-3"'}, None),
    "of the same parts": (f"{ONE}-3", {}, {"ETag": f'"{ONE}-3"'}, True),
    "the copy by KMS": (OTHER, KMS, {"ETag": f'"{ONE}"'}, None),
    "the origin by KMS": (OTHER, {}, {"ETag": f'"{ONE}"', **KMS}, None),
    "by one's own key": (OTHER, OWN_KEY, {"ETag": f'"{ONE}"'}, None),
    "not told of the origin": (ONE, {}, {}, None),
    "not told at all": ("", {}, {"ETag": '""'}, None),
}


@pytest.mark.parametrize(("etag", "made", "origin", "expected"), CASES.values(), ids=CASES)
def test_a_copy_is_told_by_its_etag(etag, made, origin, expected):
    assert is_copy_of_version(made, etag, origin) is expected


FOUND = {"ETag": f'"{ONE}"', "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT", "Content-Length": "5", "Date": "now"}


@pytest.mark.parametrize("changed", [*FOUND, None])
def test_two_looks_are_at_one_version_if_nothing_changed(changed):
    now = FOUND if changed is None else FOUND | {changed: "other"}
    assert is_unchanged(now, FOUND) is (changed in {None, "Date"})
