"""Error responses of S3: codes, statuses and the exceptions that they become."""

from datetime import UTC, datetime

import pytest

from async_storages.backends.buckets.server_errors import FileChanged, HeaderRefused, NoSuchUpload, RangeBeyondEnd
from async_storages.backends.s3.error_responses import ErrorResponse, is_failure
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


@pytest.mark.parametrize(("status", "code", "kind", "can_pass"), FAILURES, ids=[f"{s} {c}" for s, c, *_ in FAILURES])
def test_a_failure_becomes_an_exception(status, code, kind, can_pass):
    failure = ErrorResponse.of(status, {}, error(code))
    assert (type(failure.error()), failure.can_pass) == (kind, can_pass)
    assert "secret" not in str(failure.error())


@pytest.mark.parametrize(
    ("status", "kind", "can_pass"),
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
def test_a_failure_without_a_code_is_told_by_its_status(status, kind, can_pass, body):
    failure = ErrorResponse.of(status, {}, body)
    assert (type(failure.error()), failure.can_pass) == (kind, can_pass)


def test_a_source_that_changed_is_not_a_key_that_is_taken():
    condition = "<Condition>x-amz-copy-source-If-Match</Condition>"
    assert type(ErrorResponse.of(412, {}, error("PreconditionFailed", condition)).error()) is FileChanged


@pytest.mark.parametrize(
    ("headers", "more", "region"),
    [
        ({"x-amz-bucket-region": "eu-west-1"}, "", "eu-west-1"),
        ({}, "<Region>eu-west-1</Region>", "eu-west-1"),
        ({}, "", None),
    ],
)
def test_a_failure_tells_the_region(headers, more, region):
    assert ErrorResponse.of(301, headers, error("PermanentRedirect", more)).region == region


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
    assert ErrorResponse.of(403, {"Date": date} if date else {}, b"").time == time


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
