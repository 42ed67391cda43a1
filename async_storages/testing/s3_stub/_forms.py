"""Uploads by HTML forms, and their policies.

Specified in the Amazon S3 API Reference, "Browser-Based Uploads Using POST (AWS Signature Version 4)".
"""

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from async_storages.testing.s3_stub._behaviours import Behaviours
from async_storages.testing.s3_stub._messages import StubAnswer, StubError, StubRequest, element, xml_answer
from async_storages.testing.s3_stub._objects import Bucket, StoredObject
from async_storages.testing.s3_stub._signatures import check_form

__all__ = ["post_form"]

_BOUNDARY = re.compile(r"multipart/form-data;.*boundary=\"?([^\";]+)\"?")
_NAME = re.compile(r'name="([^"]*)"')
_FREE = frozenset({"policy", "x-amz-signature", "file"})
_ESCAPED_BEYOND_BMP = re.compile(rb"\\u[dD][89abAB]")


def post_form(request: StubRequest, bucket: Bucket, behaviour: Behaviours, keys: Mapping[str, str]) -> StubAnswer:
    """Return the answer to a form posted to a bucket. `keys` are the secrets by access key."""
    fields, data = _fields_of(request)
    check_form(fields, keys)
    _check_policy({**fields, "bucket": request.bucket}, len(data), behaviour)
    headers = {name: value for name, value in fields.items() if name not in {"acl", "x-amz-acl"}}
    made = StoredObject.of(data, headers, fields.get("acl"))
    bucket.objects[fields["key"]] = made
    if fields.get("success_action_status") == "201":
        names = element("Bucket", request.bucket) + element("Key", fields["key"]) + element("ETag", made.etag)
        answer = xml_answer("PostResponse", names)
        return StubAnswer(201, {**answer.headers, **_etag(made, behaviour)}, answer.body)
    return StubAnswer(200 if fields.get("success_action_status") == "200" else 204, _etag(made, behaviour))


def _etag(made: StoredObject, behaviour: Behaviours) -> dict[str, str]:
    return {} if behaviour.hides_form_etag else {"ETag": made.etag}


def _fields_of(request: StubRequest) -> tuple[dict[str, str], bytes]:
    """Return the fields by lower-case names, and the file. The file is the last field."""
    boundary = _BOUNDARY.fullmatch(request.headers.get("content-type", ""))
    if boundary is None:
        raise StubError(412, "PreconditionFailed")
    fields: dict[str, str] = {}
    for part in (b"\r\n" + request.body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head.decode())
        if name is None:
            raise StubError(400, "MalformedPOSTRequest")
        if name[1].lower() == "file":
            return fields, content
        fields[name[1].lower()] = content.decode()
    raise StubError(400, "InvalidArgument")


def _check_policy(fields: Mapping[str, str], size: int, behaviour: Behaviours) -> None:
    raw = base64.b64decode(fields["policy"])
    if behaviour.has_strict_policies and _ESCAPED_BEYOND_BMP.search(raw):
        raise StubError(403, "AccessDenied")
    named: set[str] = set()
    policy = json.loads(raw)
    if datetime.now(UTC) > datetime.fromisoformat(policy["expiration"]):
        raise StubError(403, "AccessDenied")
    for condition in policy["conditions"]:
        operator, field, value = _taken_apart(condition)
        if operator == "content-length-range":
            if size < int(field):
                raise StubError(400, "EntityTooSmall")
            if size > int(value):
                raise StubError(400, "EntityTooLarge")
            continue
        named.add(field)
        given = fields.get(field, "")
        if not (given.startswith(value) if operator == "starts-with" else given == value):
            raise StubError(403, "AccessDenied")
    if any(name not in named | _FREE for name in fields):  # extra input fields
        raise StubError(403, "AccessDenied")


def _taken_apart(condition: Any) -> tuple[str, str, str]:
    """Return operator, field in lower case, and value."""
    if isinstance(condition, dict):
        [(field, value)] = condition.items()
        return "eq", str(field).lower(), str(value)
    operator, field, value = condition
    return str(operator), str(field).removeprefix("$").lower(), str(value)
