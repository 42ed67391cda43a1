"""What S3 says, also when it is not S3 that says it."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_storages.backends.buckets.errors import FileChanged, HeaderRefused, NoSuchUpload, RangeBeyondEnd
from async_storages.backends.s3 import answers
from async_storages.backends.s3.answers import CompletedPart
from async_storages.backends.s3.failures import Failure, is_failure
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    FileTooLargeException,
    InvalidArgumentException,
    StorageOperationException,
    StorageUnavailableException,
)

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def error(code, more=""):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>secret</Message>{more}</Error>".encode()


# status, code, the exception, whether it may pass
FAILURES = [
    (404, "NoSuchKey", FileNotFoundException, False),
    (404, "NoSuchBucket", StorageOperationException, False),
    (404, "NoSuchUpload", NoSuchUpload, False),
    (412, "PreconditionFailed", FileExistsException, False),
    (416, "InvalidRange", RangeBeyondEnd, False),
    (409, "ConditionalRequestConflict", StorageUnavailableException, True),
    (409, "BucketNotEmpty", StorageOperationException, False),
    (403, "AccessDenied", AccessDeniedException, False),
    (403, "SignatureDoesNotMatch", AccessDeniedException, False),
    (403, "InvalidAccessKeyId", AccessDeniedException, False),
    (400, "ExpiredToken", AccessDeniedException, False),
    (401, "Whatever", AccessDeniedException, False),
    (400, "EntityTooLarge", FileTooLargeException, False),
    (400, "KeyTooLongError", InvalidArgumentException, False),
    (400, "MetadataTooLarge", InvalidArgumentException, False),
    (400, "BadDigest", ChecksumMismatchException, True),
    (400, "RequestTimeout", StorageUnavailableException, True),
    (400, "EntityTooSmall", StorageOperationException, False),
    (503, "SlowDown", StorageUnavailableException, True),
    (500, "InternalError", StorageUnavailableException, True),
    (429, "TooManyRequests", StorageUnavailableException, True),
    (501, "NotImplemented", HeaderRefused, False),
    (301, "PermanentRedirect", StorageOperationException, False),
]


@pytest.mark.parametrize(("status", "code", "kind", "may_pass"), FAILURES, ids=[f"{s} {c}" for s, c, *_ in FAILURES])
def test_a_failure_becomes_an_exception(status, code, kind, may_pass):
    failure = Failure.of(status, {}, error(code))
    assert (type(failure.error()), failure.may_pass) == (kind, may_pass)
    assert "secret" not in str(failure.error())


@pytest.mark.parametrize(
    ("status", "kind", "may_pass"),
    [
        (404, FileNotFoundException, False),
        (403, AccessDeniedException, False),
        (412, FileExistsException, False),
        (416, RangeBeyondEnd, False),
        (400, StorageUnavailableException, True),
        (503, StorageUnavailableException, True),
        (418, StorageOperationException, False),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html><p>", b"\xff\xfe", b"<?xml version='1.0' encoding='x'?><a/>"])
def test_a_failure_without_a_code_is_told_by_its_status(status, kind, may_pass, body):
    failure = Failure.of(status, {}, body)
    assert (type(failure.error()), failure.may_pass) == (kind, may_pass)


def test_a_source_that_changed_is_not_a_key_that_is_taken():
    condition = "<Condition>x-amz-copy-source-If-Match</Condition>"
    assert type(Failure.of(412, {}, error("PreconditionFailed", condition)).error()) is FileChanged


@pytest.mark.parametrize(
    ("headers", "more", "region"),
    [
        ({"x-amz-bucket-region": "eu-west-1"}, "", "eu-west-1"),
        ({}, "<Region>eu-west-1</Region>", "eu-west-1"),
        ({}, "", None),
    ],
)
def test_a_failure_tells_the_region(headers, more, region):
    assert Failure.of(301, headers, error("PermanentRedirect", more)).region == region


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("Sun, 22 Nov 2026 01:10:48 GMT", datetime(2026, 11, 22, 1, 10, 48, tzinfo=UTC)),
        ("Sun, 22 Nov 99999 01:10:48 GMT", None),
        ("now", None),
        (None, None),
    ],
)
def test_a_failure_tells_the_time(date, time):
    assert Failure.of(403, {"Date": date} if date else {}, b"").time == time


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (error("InternalError"), True),
        (b" \n " * 100 + error("InternalError").removeprefix(b"<?xml version='1.0'?>"), True),
        (b"<CopyObjectResult><ETag>&lt;Error&gt;</ETag></CopyObjectResult>", False),
        (b"<ListBucketResult><Error>is a name</Error></ListBucketResult>", False),
        (b"<Error", False),
        (b"", False),
    ],
)
def test_a_failure_may_come_in_the_body_of_a_success(body, expected):
    assert is_failure(body) is expected


# ---- listings


def listing(*keys, more="<IsTruncated>false</IsTruncated>"):
    contents = "".join(
        f"<Contents><Key>{key}</Key><ETag>&quot;e&quot;</ETag><Size>1</Size>"
        "<LastModified>2026-11-22T01:10:48.123Z</LastModified></Contents>"
        for key in keys
    )
    return f"<ListBucketResult {NAMESPACE}>{contents}{more}</ListBucketResult>".encode()


ENCODED = "<EncodingType>url</EncodingType>"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a+b%2Bc", "a b+c"),
        ("a%20b/c+d", "a b/c d"),
        ("%D1%91/%2541", "ё/%41"),
        ("a&amp;b%3C", "a&b<"),
        ("a%FF", "a\ufffd"),
    ],
)
def test_a_listed_key_is_decoded(written, key):
    [listed] = answers.parse_listing(listing(written, more=ENCODED)).objects
    assert (listed.key, listed.size, listed.etag, listed.storage_class) == (key, 1, "e", None)
    assert listed.last_modified == datetime(2026, 11, 22, 1, 10, 48, 123_000, UTC)


@pytest.mark.parametrize("more", ["", "<EncodingType/>", "<EncodingType>none</EncodingType>"])
def test_a_listed_key_that_is_not_encoded_stays_as_it_is(more):
    [listed] = answers.parse_listing(listing("a+b%2Bc", more=more)).objects
    assert listed.key == "a+b%2Bc"


def test_a_listing_says_how_it_goes_on():
    assert answers.parse_listing(listing()) == answers.Listing([], None)
    token = "<IsTruncated>true</IsTruncated><NextContinuationToken>a+b%2F=</NextContinuationToken>"
    assert answers.parse_listing(listing("k", more=token)).token == "a+b%2F="


BAD = {
    "nothing": b"",
    "text": b"gateway time-out",
    "cut": listing("k")[:-20],
    "no size": listing("k").replace(b"<Size>1</Size>", b""),
    "no number": listing("k").replace(b"<Size>1<", b"<Size>one<"),
    "no time": listing("k").replace(b"2026-", b"26-"),
    "no token": listing(more="<IsTruncated>true</IsTruncated>"),
    "entity bomb": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&c;</a>',
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_is_no_listing_is_refused(body):
    with pytest.raises(StorageOperationException, match="not asked for"):
        answers.parse_listing(body)


@given(st.binary() | st.text().map(str.encode))
@example(b"<?xml version='1.0' encoding='utf-7'?><a/>")
def test_no_answer_leads_to_another_exception(body):
    Failure.of(400, {}, body).error()
    is_failure(body)
    for parse in (
        answers.parse_listing,
        answers.parse_delete_result,
        answers.parse_uploads,
        lambda body: answers.parse_text(body, "ETag"),
    ):
        try:
            parse(body)
        except StorageOperationException:
            continue


def test_uploads_are_listed():
    uploads = "".join(f"<Upload><Key>{key}</Key><UploadId>{key}-id</UploadId></Upload>" for key in ("a+b", "c%2B"))
    body = f"<ListMultipartUploadsResult {NAMESPACE}>{uploads}</ListMultipartUploadsResult>".encode()
    assert answers.parse_uploads(body) == [("a+b", "a+b-id"), ("c%2B", "c%2B-id")]
    body = f"<ListMultipartUploadsResult {NAMESPACE}>{ENCODED}{uploads}</ListMultipartUploadsResult>".encode()
    assert answers.parse_uploads(body) == [("a b", "a+b-id"), ("c+", "c%2B-id")]


def test_what_a_multi_object_delete_could_not_delete():
    failed = "<Error><Key>a&amp;b</Key><Code>AccessDenied</Code></Error><Error><Key>c</Key></Error>"
    body = f"<DeleteResult {NAMESPACE}><Deleted><Key>d</Key></Deleted>{failed}</DeleteResult>".encode()
    failures = answers.parse_delete_result(body)
    assert {key: type(failure.error()) for key, failure in failures.items()} == {
        "a&b": AccessDeniedException,
        "c": StorageUnavailableException,
    }
    assert str(failures["a&b"].error()) == "S3 refused (AccessDenied)"


# ---- what is sent


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1)))
@example(["a&b<c>d\"'e]]>", " a ", "a  b"])
def test_keys_survive_in_a_multi_object_delete(keys):
    root = ET.fromstring(answers.delete_objects_body(keys))
    assert [key.text for key in root.iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")] == keys


def test_parts_are_named_with_their_checksums():
    body = answers.complete_multipart_body([CompletedPart(1, '"a"', "AAAA=="), CompletedPart(2, '"b"')])
    assert body.decode() == (
        f'<CompleteMultipartUpload {NAMESPACE}><Part><PartNumber>1</PartNumber><ETag>"a"</ETag>'
        '<ChecksumCRC32>AAAA==</ChecksumCRC32></Part><Part><PartNumber>2</PartNumber><ETag>"b"</ETag></Part>'
        "</CompleteMultipartUpload>"
    )
