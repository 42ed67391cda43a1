"""Upload options in the forms of S3: headers of requests, fields of forms. No I/O.

Specified in the Amazon S3 API reference: PutObject, CopyObject, CreateMultipartUpload, "POST Object", and "Specifying
server-side encryption with customer-provided keys (SSE-C)".
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from async_storages._secrets import Hidden
from async_storages.backends.buckets.signatures import http_time
from async_storages.errors import OperationNotSupportedException, StorageOperationException, StorageUnavailableException
from async_storages.upload_options import OPTION_NAMES, CustomerKey, KmsEncryption, UploadOptions

__all__ = [
    "ALL",
    "copied_headers",
    "copy_source_headers",
    "customer_headers",
    "customer_key",
    "form_fields",
    "naming",
    "object_headers",
]

ALL = frozenset(OPTION_NAMES)
"""All upload options. S3 supports every one."""

_ENCRYPTION = "x-amz-server-side-encryption"
_CUSTOMER = f"{_ENCRYPTION}-customer"
_COPY_SOURCE = "x-amz-copy-source-server-side-encryption-customer"
_KMS_KEY, _BUCKET_KEY = f"{_ENCRYPTION}-aws-kms-key-id", f"{_ENCRYPTION}-bucket-key-enabled"


def object_headers(options: UploadOptions) -> dict[str, str]:
    """Return the headers of a request that makes an object, without a customer's key."""
    if not options.said:
        return {}
    said = {
        "Cache-Control": options.cache_control,
        "Content-Disposition": options.content_disposition,
        "Content-Encoding": options.content_encoding,
        "Content-Language": options.content_language,
        "Expires": options.expires and http_time(options.expires),
        "x-amz-tagging": options.tags and urlencode(options.tags, quote_via=quote),
    }
    return {**{name: value for name, value in said.items() if value}, **_kept_anew(options)}


def _kept_anew(options: UploadOptions) -> dict[str, str]:
    """Return the headers of properties that a copy does not inherit: ACL, encryption, storage class, lock."""
    if not options.said:
        return {}
    until = options.lock_until
    said = {
        "x-amz-acl": options.acl,
        "x-amz-storage-class": options.storage_class,
        "x-amz-object-lock-mode": options.lock_mode,
        "x-amz-object-lock-retain-until-date": until and until.isoformat(timespec="milliseconds"),
    }
    return {**{name: value for name, value in said.items() if value}, **_encryption_headers(options)}


def _encryption_headers(options: UploadOptions) -> dict[str, str]:
    chosen = options.encryption
    if chosen is None or isinstance(chosen, CustomerKey):
        return {}
    if not isinstance(chosen, KmsEncryption):
        return {_ENCRYPTION: chosen}
    context = chosen.context and base64.b64encode(json.dumps(dict(chosen.context)).encode()).decode()
    said = {
        _KMS_KEY: chosen.key_id,
        f"{_ENCRYPTION}-context": context,
        _BUCKET_KEY: None if chosen.bucket_key is None else str(chosen.bucket_key).lower(),
    }
    return {_ENCRYPTION: "aws:kms", **{name: value for name, value in said.items() if value}}


def customer_headers(key: CustomerKey | None) -> dict[str, str]:
    """Return the headers that write or read an object encrypted with a customer's key."""
    return _key_headers(_CUSTOMER, key)


def copy_source_headers(key: CustomerKey | None) -> dict[str, str]:
    """Return the headers that read the source of a copy, encrypted with a customer's key."""
    return _key_headers(_COPY_SOURCE, key)


def customer_key(options: UploadOptions) -> CustomerKey | None:
    """Return the customer's key among the options. It becomes headers only when a request is sent."""
    return options.encryption if isinstance(options.encryption, CustomerKey) else None


def _key_headers(prefix: str, key: CustomerKey | None) -> dict[str, str]:
    if key is None:
        return {}
    digest = hashlib.md5(key.key, usedforsecurity=False).digest()
    return {
        f"{prefix}-algorithm": "AES256",
        f"{prefix}-key": Hidden(base64.b64encode(key.key).decode()),
        f"{prefix}-key-MD5": base64.b64encode(digest).decode(),
    }


def copied_headers(options: UploadOptions, found: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a copy: those of the options, and the object's KMS key if no option sets an encryption.

    Args:
        options: The options of the storage that copies.
        found: The headers of the object.
    """
    is_kept = options.encryption is None and found.get(_ENCRYPTION, "").startswith("aws:kms")
    kept = {name: found[name] for name in (_ENCRYPTION, _KMS_KEY, _BUCKET_KEY) if is_kept and name in found}
    return {**kept, **_kept_anew(options)}


def form_fields(options: UploadOptions) -> dict[str, str]:
    """Return the fields of a form that makes an object. Two of them have other names than the headers.

    Raises:
        OperationNotSupportedException: Forms have no field for an option.
    """
    if options.content_language is not None:
        raise OperationNotSupportedException("forms of S3 cannot do content_language=: presign a PUT instead")
    fields = object_headers(options)
    acl, tagging = fields.pop("x-amz-acl", None), fields.pop("x-amz-tagging", None)
    if acl:
        fields["acl"] = acl
    if tagging:
        tags = "".join(
            f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>"
            for key, value in (options.tags or {}).items()
        )
        fields["tagging"] = f"<Tagging><TagSet>{tags}</TagSet></Tagging>"
    return fields


@contextmanager
def naming(options: UploadOptions) -> Iterator[None]:
    """Name the options in a server's error, as each server refuses an unknown option in its own way."""
    try:
        yield
    except StorageOperationException as error:
        is_lost = isinstance(error, StorageUnavailableException) and not error.reason.startswith("S3 answered 500")
        if options.said and not is_lost:
            error.reason += f"; the upload options were {', '.join(f'{name}=' for name in options.said)}"
        raise
