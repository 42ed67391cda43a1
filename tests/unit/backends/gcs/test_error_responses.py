"""Error responses of GCS, and the exceptions that they become."""

import json

import pytest

from async_storages.backends.buckets.server_errors import NoSuchUpload, RangeBeyondEnd
from async_storages.backends.gcs.error_responses import Conflict, ErrorResponse, NoSuchBucket, TokenRefused
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    FileTooLargeException,
    StorageOperationException,
    StorageUnavailableException,
)


def said(status, reason="", message=""):
    body = {"error": {"code": status, "message": message, "errors": [{"domain": "global", "reason": reason}]}}
    return ErrorResponse.of(status, json.dumps(body).encode())


FAILURES = {
    "token": (said(401, "authError", "Invalid Credentials"), TokenRefused, "GCS refused (401 authError)"),
    "forbidden": (said(403, "forbidden"), AccessDeniedException, "GCS refused (403 forbidden)"),
    "too many": (said(403, "rateLimitExceeded"), StorageUnavailableException, "GCS answered 403 rateLimitExceeded"),
    "bucket": (said(404, "notFound", "The specified bucket does not exist."), NoSuchBucket, "no such bucket"),
    "object": (said(404, "notFound", "No such object: a/b"), FileNotFoundException, "no such file"),
    "object, of a download": (ErrorResponse.of(404, b"No such object: a/b"), FileNotFoundException, "no such file"),
    "bucket, of a download": (
        ErrorResponse.of(404, b"The specified bucket does not exist."),
        NoSuchBucket,
        "no such bucket",
    ),
    "conflict": (said(409, "conflict"), Conflict, "it is there already, or not empty, or being changed by others"),
    "session": (said(410, "gone"), NoSuchUpload, "no such upload: it was completed or given up, or has expired"),
    "precondition": (said(412, "conditionNotMet"), FileExistsException, "the key is taken"),
    "policy": (
        said(412, "orgPolicyConstraintFailed"),
        AccessDeniedException,
        "GCS refused (412 orgPolicyConstraintFailed)",
    ),
    "nothing public": (
        said(412, "conditionNotMet", "The member bindings are not allowed since public access prevention is enforced."),
        AccessDeniedException,
        "GCS refused (412 conditionNotMet): the bucket allows nothing public: give no public predefined_acl",
    ),
    "no ACLs": (
        said(400, "invalid", "Cannot insert legacy ACL for an object when uniform bucket-level access is enabled."),
        AccessDeniedException,
        "GCS refused (400 invalid): the bucket has no ACLs: give no predefined_acl",
    ),
    "requester pays, of a download": (
        ErrorResponse.of(400, b"Bucket is a requester pays bucket but no user project provided."),
        AccessDeniedException,
        "GCS refused (400): requesters pay for this bucket: give a user_project",
    ),
    "key with a hint's words": (
        said(404, "notFound", "No such object: a/requester pays"),
        FileNotFoundException,
        "no such file",
    ),
    "newer form": (
        ErrorResponse.of(
            400, b'{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT", "details": []}}'
        ),
        StorageOperationException,
        "GCS answered 400 INVALID_ARGUMENT",
    ),
    "too large": (said(413, "uploadTooLarge"), FileTooLargeException, "larger than the server allows"),
    "range": (ErrorResponse.of(416, b""), RangeBeyondEnd, "the range is beyond the file"),
    "checksum": (
        said(400, "invalid", 'Provided MD5 hash "a" doesn\'t match calculated MD5 hash "b".'),
        ChecksumMismatchException,
        "the bytes arrived altered (400 invalid)",
    ),
    "invalid": (said(400, "invalid"), StorageOperationException, "GCS answered 400 invalid"),
    "out of step": (ErrorResponse.of(400, b"Bad Request"), StorageUnavailableException, "GCS answered 400"),
    "redirect": (ErrorResponse.of(301, b""), StorageOperationException, "GCS answered 301"),
    "busy": (said(429, "rateLimitExceeded"), StorageUnavailableException, "GCS answered 429 rateLimitExceeded"),
    "hostile reason": (said(500, "secret token: abc"), StorageUnavailableException, "GCS answered 500"),
}


@pytest.mark.parametrize(("failure", "kind", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_told(failure, kind, reason):
    error = failure.error()
    assert (type(error), error.reason) == (kind, reason)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_unavailable(status):
    assert isinstance(ErrorResponse(status).error(), StorageUnavailableException)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xff", b"[]", b"null", b'{"error": 1}', b'{"error": {"errors": 5}}', b'{"error": {"errors": [1]}}'),
        *(b"[" * 100_000, b'{"error": {"message": {}, "errors": [{"reason": ["a"]}]}}'),
    ],
    ids=range(9),
)
def test_a_body_that_says_nothing_is_no_obstacle(body):
    assert ErrorResponse.of(503, body).error().reason == "GCS answered 503"
