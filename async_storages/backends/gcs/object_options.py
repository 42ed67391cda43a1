"""Upload options in the form of Google Cloud Storage. No I/O.

Specified in the references of Cloud Storage's JSON API ("Objects", insert, rewrite) and XML API ("Headers").
"""

from collections.abc import Mapping
from typing import Any

from async_storages.backends.gcs.resources import StoredObject
from async_storages.errors import OperationNotSupportedException
from async_storages.upload_options import KmsEncryption, UploadOptions

__all__ = ["ABLE", "check_encryption", "copied", "copy_parameters", "described", "parameters", "sent_headers"]

ABLE = frozenset(
    {
        *("cache_control", "content_disposition", "content_encoding", "content_language"),
        *("encryption", "storage_class", "acl", "lock_mode", "lock_until"),
    }
)
"""Upload options that Cloud Storage supports. It does not support ``Expires`` and tags."""

_RESOURCE = {
    "cache_control": "cacheControl",
    "content_disposition": "contentDisposition",
    "content_encoding": "contentEncoding",
    "content_language": "contentLanguage",
}
_HEADERS = {
    "cache_control": "Cache-Control",
    "content_disposition": "Content-Disposition",
    "content_encoding": "Content-Encoding",
    "content_language": "Content-Language",
}
_LOCKS = {"GOVERNANCE": "Unlocked", "COMPLIANCE": "Locked"}


def check_encryption(options: UploadOptions) -> None:
    """Refuse the encryption of other providers.

    Raises:
        OperationNotSupportedException: The encryption is not Google's. The error names the option.
    """
    chosen = options.encryption
    if chosen is None or chosen == "AES256":  # GCS always does this
        return
    if not isinstance(chosen, KmsEncryption) or chosen.key_id is None:
        raise OperationNotSupportedException(
            "GCSStorage cannot do this encryption=: it takes 'AES256' and KmsEncryption(key_id=\"projects/…\")"
        )
    for name in ("context", "bucket_key"):
        if getattr(chosen, name) is not None:
            raise OperationNotSupportedException(f"GCSStorage cannot do KmsEncryption({name}=): leave it out")


def described(options: UploadOptions) -> dict[str, Any]:
    """Return the fields of a new object's resource."""
    said = {name: getattr(options, field) for field, name in _RESOURCE.items()}
    return {**{name: value for name, value in said.items() if value is not None}, **_anew(options)}


def _anew(options: UploadOptions) -> dict[str, Any]:
    """Return the fields that a copy does not inherit: storage class and lock."""
    stored = {} if options.storage_class is None else {"storageClass": options.storage_class}
    if options.lock_mode is None or options.lock_until is None:
        return stored
    until = options.lock_until.isoformat(timespec="milliseconds")
    return {**stored, "retention": {"mode": _LOCKS[options.lock_mode], "retainUntilTime": until}}


def parameters(options: UploadOptions) -> dict[str, str]:
    """Return the parameters of a request that makes an object."""
    said = {"predefinedAcl": options.acl, "kmsKeyName": _key_of(options)}
    return {name: value for name, value in said.items() if value is not None}


def copied(options: UploadOptions, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resource of a copy: the description of the object, and the options that a copy does not inherit."""
    return {**kept, **_anew(options)}


def copy_parameters(options: UploadOptions, found: StoredObject) -> dict[str, str]:
    """Return the parameters of a copy. The object's key encrypts it, unless the options name another key."""
    key = _key_of(options)
    if options.encryption is None and (used := found.resource.get("kmsKeyName")):
        key = str(used).partition("/cryptoKeyVersions/")[0]
    said = {"destinationPredefinedAcl": options.acl, "destinationKmsKeyName": key}
    return {name: value for name, value in said.items() if value is not None}


def sent_headers(options: UploadOptions) -> dict[str, str]:
    """Return the headers or form fields that a client's upload must have."""
    said = {name: getattr(options, field) for field, name in _HEADERS.items()}
    return {name: value for name, value in said.items() if value is not None}


def _key_of(options: UploadOptions) -> str | None:
    return options.encryption.key_id if isinstance(options.encryption, KmsEncryption) else None
