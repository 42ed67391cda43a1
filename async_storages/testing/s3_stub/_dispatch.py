"""Recognise requests, check them as S3 does, and carry them out."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from xml.etree import ElementTree as ET

from async_storages.testing.s3_stub import _listing
from async_storages.testing.s3_stub._behaviours import Behaviours
from async_storages.testing.s3_stub._forms import post_form
from async_storages.testing.s3_stub._messages import StubAnswer, StubError, StubRequest
from async_storages.testing.s3_stub._objects import Bucket
from async_storages.testing.s3_stub._reading import get_object
from async_storages.testing.s3_stub._signatures import check_request, is_signed
from async_storages.testing.s3_stub._writing import Writes

__all__ = ["answer_to"]

_WEBSITE = StubAnswer(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Console</title>", "content")
_PUBLIC = frozenset({"public-read", "public-read-write"})
_SUBRESOURCES = frozenset({"uploads", "uploadId", "partNumber", "acl", "tagging", "attributes", "retention", "restore"})
_SETTINGS = {"cors": "NoSuchCORSConfiguration", "lifecycle": "NoSuchLifecycleConfiguration"}


def answer_to(
    request: StubRequest, buckets: dict[str, Bucket], behaviour: Behaviours, keys: Mapping[str, str]
) -> StubAnswer:
    """Carry a request out.

    Args:
        request: The request as it arrived.
        buckets: All buckets. The request may change them.
        behaviour: How the server differs from AWS.
        keys: Secrets by access key.

    Raises:
        StubError: The answer is an error.
    """
    if behaviour.is_website:
        return _WEBSITE
    if behaviour.redirects_to is not None:
        target = f"{behaviour.redirects_to.rstrip('/')}{request.target}"
        code = "PermanentRedirect" if behaviour.redirect_status in {301, 308} else "TemporaryRedirect"
        host = behaviour.redirects_to.partition("://")[2].partition("/")[0]
        raise StubError(behaviour.redirect_status, code, {"Location": target}, Endpoint=host)
    asked, request = request, _as_understood(request, behaviour)
    if not request.bucket:
        raise StubError(501, "NotImplemented")
    if request.method == "PUT" and not request.key and not request.query:
        return _create_bucket(request, buckets, behaviour)
    if request.bucket not in buckets:
        raise StubError(404, "NoSuchBucket", BucketName=request.bucket)
    bucket = buckets[request.bucket]
    is_form = request.method == "POST" and not request.key and "delete" not in request.query
    if is_form:
        return post_form(request, bucket, behaviour, keys)
    _check_allowed(asked, bucket, keys)
    if request.key:
        return _on_object(request, bucket, Writes(buckets, behaviour), behaviour)
    if request.method == "DELETE" and not request.query:
        return _delete_bucket(request, buckets)
    return _on_bucket(request, bucket, behaviour)


def _as_understood(request: StubRequest, behaviour: Behaviours) -> StubRequest:
    """Return the request without the headers that the server ignores. Raises if the server refuses a header."""
    for name in request.headers:
        if any(fnmatchcase(name, pattern) for pattern in behaviour.refuses):
            raise StubError(*behaviour.refusal, Header=name)
    if not behaviour.ignores:
        return request
    kept = {
        name: value
        for name, value in request.headers.items()
        if not any(fnmatchcase(name, pattern) for pattern in behaviour.ignores)
    }
    return replace(request, headers=kept)


def _check_allowed(request: StubRequest, bucket: Bucket, keys: Mapping[str, str]) -> None:
    """Refuse requests without a valid signature, except reads of public files."""
    held = bucket.objects.get(request.key)
    is_public = request.method in {"GET", "HEAD"} and held is not None and held.acl in _PUBLIC
    if is_signed(request):
        check_request(request, keys)
    elif not is_public:
        raise StubError(403, "AccessDenied")


def _on_object(request: StubRequest, bucket: Bucket, writes: Writes, behaviour: Behaviours) -> StubAnswer:
    about = " ".join(sorted(request.query.keys() & _SUBRESOURCES))
    if request.method in {"GET", "HEAD"} and not about:
        return get_object(request, bucket, behaviour)
    if (request.method, about) == ("PUT", "") and "x-amz-copy-source" in request.headers:
        return writes.copy_object(request, bucket)
    operation = {
        ("GET", "uploadId"): _listing.list_parts,
        ("PUT", ""): writes.put_object,
        ("PUT", "partNumber uploadId"): writes.put_part,
        ("POST", "uploads"): writes.create_upload,
        ("POST", "uploadId"): writes.complete_upload,
        ("DELETE", "uploadId"): writes.abort_upload,
        ("DELETE", ""): writes.delete_object,
    }.get((request.method, about))
    if operation is None:
        raise StubError(501, "NotImplemented")
    return operation(request, bucket)


def _on_bucket(request: StubRequest, bucket: Bucket, behaviour: Behaviours) -> StubAnswer:
    setting = next((name for name in _SETTINGS if name in request.query), None)
    match request.method:
        case "HEAD":
            return StubAnswer()
        case "GET" if setting is not None:
            if setting not in bucket.settings:
                raise StubError(404, _SETTINGS[setting])
            return StubAnswer(200, {"Content-Type": "application/xml"}, bucket.settings[setting])
        case "PUT" if setting is not None:
            bucket.settings[setting] = request.body
            return StubAnswer()
        case "GET" if "uploads" in request.query:
            return _listing.list_uploads(request, bucket, behaviour)
        case "GET" if request.query.get("list-type") == "2":
            return _listing.list_objects(request, bucket, behaviour)
        case "POST":
            return _listing.delete_objects(request, bucket, behaviour)
        case _:
            raise StubError(501, "NotImplemented")


def _create_bucket(request: StubRequest, buckets: dict[str, Bucket], behaviour: Behaviours) -> StubAnswer:
    region = None
    if request.body:
        root = ET.fromstring(request.body)  # noqa: S314 - sent by the test itself
        region = next((each.text for each in root if each.tag.rpartition("}")[2] == "LocationConstraint"), None)
    if region is not None and behaviour.regions is not None and region not in behaviour.regions:
        raise StubError(400, "InvalidLocationConstraint")
    if request.bucket in buckets:
        raise StubError(409, "BucketAlreadyOwnedByYou")
    buckets[request.bucket] = Bucket(region=region)
    return StubAnswer(200, {"Location": f"/{request.bucket}"})


def _delete_bucket(request: StubRequest, buckets: dict[str, Bucket]) -> StubAnswer:
    if buckets[request.bucket].objects:
        raise StubError(409, "BucketNotEmpty")
    del buckets[request.bucket]
    return StubAnswer(204)
