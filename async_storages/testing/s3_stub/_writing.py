"""PUT, copies and multipart uploads, with their conditions."""

import hashlib
import re
from collections.abc import Mapping
from secrets import token_hex
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from async_storages.testing.s3_stub._behaviours import Behaviours, Conditions
from async_storages.testing.s3_stub._messages import StubAnswer, StubError, StubRequest, element, xml_answer
from async_storages.testing.s3_stub._objects import (
    Bucket,
    StoredObject,
    StubPart,
    Upload,
    checked_crc32,
    stored_headers,
)
from async_storages.testing.s3_stub._reading import check_readable, found_object

__all__ = ["Writes", "acl_of", "found_upload"]

_COPIED_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


def acl_of(request: StubRequest, behaviour: Behaviours) -> str | None:
    """Return the canned ACL of a request, from a header or a presigned parameter."""
    asked = {name.lower(): value for name, value in request.query.items()}
    in_query = None if behaviour.ignores_acl_in_query else asked.get("x-amz-acl")
    return request.headers.get("x-amz-acl") or in_query


def found_upload(bucket: Bucket, request: StubRequest) -> Upload:
    """Return the upload of a request. Raises NoSuchUpload."""
    upload = bucket.uploads.get(request.query.get("uploadId", ""))
    if upload is None or upload.key != request.key:
        raise StubError(404, "NoSuchUpload")
    return upload


class Writes:
    """Operations that change the objects of a bucket.

    Args:
        buckets: All buckets of the server. A copy may come from any of them.
        behaviour: How the server handles conditions.
    """

    def __init__(self, buckets: Mapping[str, Bucket], behaviour: Behaviours) -> None:
        self._buckets = buckets
        self._behaviour = behaviour

    def put_object(self, request: StubRequest, bucket: Bucket) -> StubAnswer:
        """PutObject."""
        crc32 = checked_crc32(request.body, request.headers)
        self._check_condition(request, bucket, self._behaviour.conditions_on_put)
        acl = acl_of(request, self._behaviour)
        made = bucket.objects[request.key] = StoredObject.of(request.body, request.headers, acl, crc32)
        return StubAnswer(200, _answered(made.etag, crc32))

    def copy_object(self, request: StubRequest, bucket: Bucket) -> StubAnswer:
        """CopyObject."""
        source = self._source(request)
        self._check_condition(request, bucket, self._behaviour.conditions_on_copy)
        described = stored_headers(request.headers)
        if request.headers.get("x-amz-metadata-directive", "COPY").upper() == "COPY":
            kept = {name: value for name, value in source.headers.items() if name != "x-amz-storage-class"}
            described = kept | {name: value for name, value in described.items() if name == "x-amz-storage-class"}
        acl = acl_of(request, self._behaviour)
        made = bucket.objects[request.key] = StoredObject.of(source.data, described, acl, source.crc32)
        return xml_answer("CopyObjectResult", element("ETag", made.etag) + _modified(made))

    def delete_object(self, request: StubRequest, bucket: Bucket) -> StubAnswer:
        """DeleteObject."""
        bucket.objects.pop(request.key, None)
        return StubAnswer(204)

    def create_upload(self, request: StubRequest, bucket: Bucket) -> StubAnswer:
        """CreateMultipartUpload."""
        upload_id = token_hex(16)
        bucket.uploads[upload_id] = Upload(request.key, request.headers, acl_of(request, self._behaviour))
        names = element("Bucket", request.bucket) + element("Key", request.key)
        return xml_answer("InitiateMultipartUploadResult", names + element("UploadId", upload_id))

    def put_part(self, request: StubRequest, bucket: Bucket) -> StubAnswer:
        """UploadPart and UploadPartCopy."""
        upload_id = request.query["uploadId"]
        if self._behaviour.keeps_late_parts and upload_id in bucket.aborted:
            bucket.uploads[upload_id] = bucket.aborted.pop(upload_id)
        upload = found_upload(bucket, request)
        number = int(request.query["partNumber"])
        if not 1 <= number <= self._behaviour.most_parts:
            raise StubError(400, "InvalidArgument")
        copied = "x-amz-copy-source" in request.headers
        data = self._copied_range(request) if copied else request.body
        crc32 = None if copied else checked_crc32(data, request.headers)
        part = StubPart(data, f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"', crc32)
        upload.parts[number] = part
        if copied:
            return xml_answer("CopyPartResult", element("ETag", part.etag))
        return StubAnswer(200, _answered(part.etag, crc32))

    def complete_upload(self, request: StubRequest, bucket: Bucket) -> StubAnswer:
        """CompleteMultipartUpload."""
        upload = found_upload(bucket, request)
        parts = self._named_parts(request.body, upload)
        self._check_lengths([len(part.data) for part in parts])
        self._check_condition(request, bucket, self._behaviour.conditions_on_complete)
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
        data = b"".join(part.data for part in parts)
        bucket.objects[request.key] = StoredObject(data, stored_headers(upload.headers), upload.acl, etag)
        del bucket.uploads[request.query["uploadId"]]
        return xml_answer("CompleteMultipartUploadResult", element("Key", request.key) + element("ETag", etag))

    def abort_upload(self, request: StubRequest, bucket: Bucket) -> StubAnswer:
        """AbortMultipartUpload."""
        upload = found_upload(bucket, request)
        upload.parts.clear()
        upload_id = request.query["uploadId"]
        bucket.aborted[upload_id] = bucket.uploads.pop(upload_id)
        return StubAnswer(204)

    def _named_parts(self, body: bytes, upload: Upload) -> list[StubPart]:
        parts = []
        for named in ET.fromstring(body).iter():  # noqa: S314 - sent by the test itself
            if named.tag.rpartition("}")[2] != "Part":
                continue
            fields = {child.tag.rpartition("}")[2]: child.text or "" for child in named}
            part = upload.parts.get(int(fields["PartNumber"]))
            if part is None or part.etag.strip('"') != fields["ETag"].strip('"'):
                raise StubError(400, "InvalidPart")
            if (crc32 := fields.get("ChecksumCRC32")) is not None and crc32 != part.crc32:
                if self._behaviour.has_strict_completion:
                    raise StubError(400, "MalformedXML")
                if part.crc32 is not None:
                    raise StubError(400, "InvalidPart")
            parts.append(part)
        if not parts:
            raise StubError(400, "MalformedXML")
        return parts

    def _check_lengths(self, lengths: list[int]) -> None:
        *before, last = lengths
        if any(length < self._behaviour.smallest_part for length in before):
            raise StubError(400, "EntityTooSmall")
        if self._behaviour.has_equal_parts and before and ({*before} != {before[0]} or last > before[0]):
            raise StubError(400, "InvalidPart")

    def _check_condition(self, request: StubRequest, bucket: Bucket, conditions: Conditions) -> None:
        if "if-none-match" not in request.headers or conditions == "ignored":
            return
        if conditions == "refused":
            raise StubError(*self._behaviour.refusal, Header="If-None-Match")
        if request.key in bucket.objects:
            raise StubError(412, "PreconditionFailed", Condition="If-None-Match")

    def _source(self, request: StubRequest) -> StoredObject:
        bucket, _, key = unquote(request.headers["x-amz-copy-source"]).removeprefix("/").partition("/")
        if bucket not in self._buckets:
            raise StubError(404, "NoSuchBucket")
        found = found_object(self._buckets[bucket], key)
        check_readable(found, request.headers, self._behaviour, "copy-source-")
        wanted = request.headers.get("x-amz-copy-source-if-match", found.etag)
        conditions = self._behaviour.conditions_on_copy_source
        if conditions == "refused" and "x-amz-copy-source-if-match" in request.headers:
            raise StubError(*self._behaviour.refusal, Header="x-amz-copy-source-if-match")
        if wanted.strip('"') != found.etag.strip('"') and conditions == "honoured":
            raise StubError(412, "PreconditionFailed", Condition="x-amz-copy-source-If-Match")
        return found

    def _copied_range(self, request: StubRequest) -> bytes:
        data = self._source(request).data
        wanted = _COPIED_RANGE.fullmatch(request.headers.get("x-amz-copy-source-range", f"bytes=0-{len(data) - 1}"))
        if wanted is None or int(wanted[2]) >= len(data):
            raise StubError(400, "InvalidArgument")
        return data[int(wanted[1]) : int(wanted[2]) + 1]


def _answered(etag: str, crc32: str | None) -> dict[str, str]:
    return {"ETag": etag, **({"x-amz-checksum-crc32": crc32} if crc32 else {})}


def _modified(made: StoredObject) -> str:
    return element("LastModified", f"{made.modified:%Y-%m-%dT%H:%M:%S.000Z}")
