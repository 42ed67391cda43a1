"""GET and HEAD of objects: ranges, conditions, and the differences between servers."""

import re
from collections.abc import Mapping

from async_storages.testing.s3_stub._behaviours import Behaviours
from async_storages.testing.s3_stub._messages import StubAnswer, StubError, StubRequest
from async_storages.testing.s3_stub._objects import Bucket, StoredObject

__all__ = ["check_readable", "found_object", "get_object"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_ANSWERED = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-content-type": "content-type",
    "response-expires": "expires",
}


def found_object(bucket: Bucket, key: str) -> StoredObject:
    """Return the object. Raises NoSuchKey."""
    if key not in bucket.objects:
        raise StubError(404, "NoSuchKey", Key=key)
    return bucket.objects[key]


def check_readable(found: StoredObject, headers: Mapping[str, str], behaviour: Behaviours, of: str = "") -> None:
    """Raise S3's error if an object cannot be read. `of` is ``"copy-source-"`` for a copy's source."""
    _check_customer_key(found, headers, of)
    _check_restored(found, behaviour)


def _check_customer_key(found: StoredObject, headers: Mapping[str, str], of: str = "") -> None:
    if found.customer_key != headers.get(f"x-amz-{of}server-side-encryption-customer-key-md5"):
        raise StubError(400, "InvalidRequest")


def _check_restored(found: StoredObject, behaviour: Behaviours) -> None:
    if behaviour.archives or found.is_archived:
        raise StubError(403, "InvalidObjectState", StorageClass=found.headers.get("x-amz-storage-class", "GLACIER"))


def get_object(request: StubRequest, bucket: Bucket, behaviour: Behaviours) -> StubAnswer:
    """Return the answer to GET and HEAD."""
    found = found_object(bucket, request.key)
    _check_customer_key(found, request.headers)
    if request.method == "GET":
        _check_restored(found, behaviour)
    if request.headers.get("if-match", found.etag) not in {found.etag, found.etag.strip('"'), "*"}:
        raise StubError(412, "PreconditionFailed", Condition="If-Match")
    said = found.described(with_checksum=request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED")
    said |= {name: request.query[asked] for asked, name in _ANSWERED.items() if asked in request.query}
    if request.method == "HEAD":
        length = {} if behaviour.hides_length else {"Content-Length": str(len(found.data))}
        return StubAnswer(200, said | length, b"", "head without length" if behaviour.hides_length else "content")
    wanted = _RANGE.fullmatch(request.headers.get("range", ""))
    if wanted is None or behaviour.ignores_ranges or not any(wanted.groups()):
        return StubAnswer(200, said, found.data, "content")
    return _part_of(found, wanted, said, behaviour)


def _part_of(found: StoredObject, wanted: re.Match[str], said: dict[str, str], behaviour: Behaviours) -> StubAnswer:
    size = len(found.data)
    said.pop("x-amz-checksum-crc32", None)
    if wanted[1]:
        first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
    else:
        first, last = max(0, size - int(wanted[2])), size - 1
        if size == 0 and behaviour.empty_suffix == 206:
            return StubAnswer(206, said | {"Content-Range": "bytes 0--1/0"}, b"", "content")
    if first > last:
        raise StubError(416, "InvalidRange", {"Content-Range": f"bytes */{size}"})
    said["Content-Range"] = f"bytes {first}-{last}/{size}"
    return StubAnswer(206, said, found.data[first : last + 1], "content")
