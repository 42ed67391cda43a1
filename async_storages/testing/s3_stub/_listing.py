"""Listings, DeleteObjects, and the settings of buckets."""

from urllib.parse import quote_plus
from xml.etree import ElementTree as ET

from async_storages.testing.s3_stub._behaviours import Behaviours
from async_storages.testing.s3_stub._messages import StubAnswer, StubError, StubRequest, element, xml_answer
from async_storages.testing.s3_stub._objects import Bucket, StoredObject
from async_storages.testing.s3_stub._writing import found_upload

__all__ = ["delete_objects", "list_objects", "list_parts", "list_uploads"]


def list_objects(request: StubRequest, bucket: Bucket, behaviour: Behaviours) -> StubAnswer:
    """ListObjectsV2, without delimiters."""
    query = request.query
    if query.get("delimiter"):
        raise StubError(501, "NotImplemented")
    most, prefix = min(1000, int(query.get("max-keys", "1000"))), query.get("prefix", "")
    after = query.get("continuation-token") or query.get("start-after", "")
    keys = sorted((key for key in bucket.objects if key.startswith(prefix)), key=str.encode)
    keys = [key for key in keys if not after or key.encode() > after.encode()]
    page = keys[:most]
    is_encoded = _is_encoded(request, behaviour)
    content = element("Name", request.bucket) + element("Prefix", _shown(prefix, is_encoded=is_encoded))
    content += _encoding(is_encoded=is_encoded) + element("MaxKeys", most) + element("KeyCount", len(page))
    content += element("IsTruncated", "true" if len(keys) > len(page) else "false")
    if len(keys) > len(page):
        content += element("NextContinuationToken", page[-1])
    content += "".join(_listed(key, bucket.objects[key], is_encoded=is_encoded) for key in page)
    return xml_answer("ListBucketResult", content, "listings")


def list_uploads(request: StubRequest, bucket: Bucket, behaviour: Behaviours) -> StubAnswer:
    """ListMultipartUploads, on one page."""
    prefix = request.query.get("prefix", "")
    is_encoded = _is_encoded(request, behaviour)
    uploads = sorted((upload.key, name) for name, upload in bucket.uploads.items() if upload.key.startswith(prefix))
    listed = [element("Key", _shown(key, is_encoded=is_encoded)) + element("UploadId", name) for key, name in uploads]
    content = element("Bucket", request.bucket) + _encoding(is_encoded=is_encoded) + element("IsTruncated", "false")
    return xml_answer(
        "ListMultipartUploadsResult", content + "".join(f"<Upload>{each}</Upload>" for each in listed), "listings"
    )


def list_parts(request: StubRequest, bucket: Bucket) -> StubAnswer:
    """ListParts, on one page."""
    parts = sorted(found_upload(bucket, request).parts.items())
    listed = [
        element("PartNumber", number) + element("Size", len(part.data)) + element("ETag", part.etag)
        for number, part in parts
    ]
    content = element("IsTruncated", "false") + "".join(f"<Part>{each}</Part>" for each in listed)
    return xml_answer("ListPartsResult", content, "listings")


def delete_objects(request: StubRequest, bucket: Bucket, behaviour: Behaviours) -> StubAnswer:
    """DeleteObjects."""
    errors = ""
    for named in ET.fromstring(request.body).iter():  # noqa: S314 - sent by the test itself
        if named.tag.rpartition("}")[2] != "Key":
            continue
        key = named.text or ""
        if bucket.objects.pop(key, None) is None and behaviour.reports_missing_deletes:
            errors += f"<Error>{element('Key', key)}{element('Code', 'NoSuchKey')}</Error>"
    return xml_answer("DeleteResult", errors)


def _is_encoded(request: StubRequest, behaviour: Behaviours) -> bool:
    return request.query.get("encoding-type") == "url" and not behaviour.ignores_encoding_type


def _encoding(*, is_encoded: bool) -> str:
    return element("EncodingType", "url") if is_encoded else ""


def _shown(text: str, *, is_encoded: bool) -> str:
    return quote_plus(text, safe="/*") if is_encoded else text


def _listed(key: str, found: StoredObject, *, is_encoded: bool) -> str:
    fields = {
        "Key": _shown(key, is_encoded=is_encoded),
        "LastModified": f"{found.modified:%Y-%m-%dT%H:%M:%S.000Z}",
        "ETag": found.etag,
        "Size": len(found.data),
        "StorageClass": found.headers.get("x-amz-storage-class", "STANDARD"),
    }
    return f"<Contents>{''.join(element(name, value) for name, value in fields.items())}</Contents>"
