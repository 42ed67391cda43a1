"""File information in resources, and resources that describe files."""

import pytest

from async_storages.backends.gcs.file_info import described_as, info_of, is_made_of, metadata_patch
from async_storages.backends.gcs.resources import StoredObject
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
