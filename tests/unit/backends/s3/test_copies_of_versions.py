"""Whether a copy is of the version that was found, by what S3 says of both."""

import pytest

from async_storages.backends.s3.file_info import is_copy_of_version, is_unchanged

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
