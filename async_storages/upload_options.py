"""Options of new files besides content, type and metadata: headers, encryption, storage class, tags, locks.

A storage, a column and a call can each set options. For each field a call overrides a column, and a column overrides a
storage. This module does no I/O.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from async_storages.errors import InvalidArgumentException, OperationNotSupportedException

__all__ = [
    "NO_OPTIONS",
    "OPTION_NAMES",
    "SERVED",
    "CustomerKey",
    "Encryption",
    "KmsEncryption",
    "LockMode",
    "UploadOptions",
]

type LockMode = Literal["GOVERNANCE", "COMPLIANCE"]
"""The strength of a lock. Users with a permission can lift ``"GOVERNANCE"``. No user can lift ``"COMPLIANCE"``."""

_TOKEN = re.compile(r"[A-Za-z0-9_:-]+")
_CODINGS = re.compile(r"[\w!#$%&'*+.^`|~-]+(?:\s*,\s*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_LANGUAGES = re.compile(r"[A-Za-z0-9-]+(?:\s*,\s*[A-Za-z0-9-]+)*")

_MOST_TAGS = 10
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsEncryption:
    """Encryption with a key in AWS KMS or Google Cloud KMS.

    Attributes:
        key_id: The key: an id, ARN or alias on AWS, ``"projects/…/cryptoKeys/…"`` on Google. None is the default key.
        context: Key-value pairs that KMS logs with each use of the key and that its policies can check (S3 only). The
            repr does not show them.
        bucket_key: True makes S3 request one KMS key per bucket instead of one per object. None uses the setting of the
            bucket.
    """

    key_id: str | None = None
    context: Mapping[str, str] | None = field(default=None, repr=False, hash=False)
    bucket_key: bool | None = None

    def __post_init__(self) -> None:
        _check_text("key_id", self.key_id)
        _check_pairs("context", self.context)


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """Encryption with your own key (SSE-C). Each request sends the key, and the server does not store it.

    Reads need the key too, so set it for a storage and not for a column. Presigned URLs do not work with it.

    Args:
        key: 32 bytes. The repr does not show them.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.key, bytes) or len(self.key) != _KEY_BYTES:
            raise InvalidArgumentException(
                f"a customer's key has {_KEY_BYTES} bytes: os.urandom({_KEY_BYTES}) makes one"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be pickled: a pickle in a queue or a cache would hold the key in plain bytes."""
        raise InvalidArgumentException("a customer's key is not pickled: give it to each process")


type Encryption = Literal["AES256", "aws:kms"] | KmsEncryption | CustomerKey
"""The server's own key, the default key of its KMS, a named KMS key, or your own key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """Options of a new file besides content, type and metadata.

    Pass them to a storage (`upload_options=`), a column (`FileType(upload_options=)`), a `PendingFile` or a call
    (`options=`). A field that is None takes its value from the column, then from the storage. If a storage does not
    support an option, it raises OperationNotSupportedException, which names the option.

    Attributes:
        cache_control: The ``Cache-Control`` header of responses with the file, such as ``"max-age=31536000"``.
        content_disposition: The ``Content-Disposition`` header. `filename=` of a presigned URL or a response overrides
            it.
        content_encoding: The encoding that the content already has. For example ``"gzip"``.
        content_language: The languages of the content. For example ``"de, en"``.
        expires: The time until which a cache may keep the file, with a time zone. Prefer `cache_control`, which is
            newer.
        encryption: The encryption on the server: ``"AES256"``, ``"aws:kms"``, `KmsEncryption` or `CustomerKey`. Without
            it, the default of the bucket applies.
        tags: Up to 10 key-value pairs that lifecycle rules, permissions and bills can use (S3).
        storage_class: The storage class. For example ``"STANDARD_IA"`` (S3) or ``"NEARLINE"`` (GCS).
        acl: A canned ACL. For example ``"public-read"`` (S3) or ``"publicRead"`` (GCS).
        lock_mode: ``"GOVERNANCE"`` or ``"COMPLIANCE"``, together with `lock_until`. The bucket must have object lock.
        lock_until: The time until which the version cannot be deleted, with a time zone.

    Raises:
        InvalidArgumentException: A value is wrong for every storage.

    Example:
        >>> photos = S3Storage("photos", upload_options=UploadOptions(cache_control="max-age=31536000, immutable"))
        >>> await photos.save(content, options=UploadOptions(tags={"team": "web"}))
    """

    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    expires: datetime | None = None
    encryption: Encryption | None = None
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    storage_class: str | None = None
    acl: str | None = None
    lock_mode: LockMode | None = None
    lock_until: datetime | None = None
    said: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    """The fields that are not None."""

    def __post_init__(self) -> None:
        said = {name: value for name in OPTION_NAMES if (value := getattr(self, name)) is not None}
        object.__setattr__(self, "said", MappingProxyType(said))
        if said:
            self._check()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the fields that are not None."""
        return _made_of, (dict(self.said),)

    def _check(self) -> None:
        for name in ("cache_control", "content_disposition"):
            _check_text(name, getattr(self, name))
        for name, pattern in _PATTERNS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
                raise InvalidArgumentException(f"{value!a} is no value of {name}")
        for name in ("expires", "lock_until"):
            _check_time(name, getattr(self, name))
        is_key = isinstance(self.encryption, KmsEncryption | CustomerKey)
        if not is_key and self.encryption not in (None, "AES256", "aws:kms"):
            raise InvalidArgumentException(
                "encryption is 'AES256', 'aws:kms', a KmsEncryption or a CustomerKey, not "
                f"{type(self.encryption).__name__}"
            )
        _check_pairs("tags", self.tags)
        if len(self.tags or {}) > _MOST_TAGS:
            raise InvalidArgumentException(f"tags are {_MOST_TAGS} at the most, not {len(self.tags or {})}")
        if self.lock_mode not in {None, "GOVERNANCE", "COMPLIANCE"}:
            raise InvalidArgumentException(f"lock_mode is 'GOVERNANCE' or 'COMPLIANCE', not {self.lock_mode!r}")

    def over(self, further: "UploadOptions | None") -> "UploadOptions":
        """Return these options. Fields that are None take the value of `further`."""
        if further is None or self is NO_OPTIONS:
            return further or self
        return replace(further, **self.said) if self.said else further

    def require(self, able: Collection[str], who: str) -> None:
        """Raise if a storage does not support one of the options.

        Args:
            able: The fields that the storage supports.
            who: The name of the storage, for the error message.

        Raises:
            OperationNotSupportedException: The storage does not support an option. The error names the first one.
            InvalidArgumentException: Only one of `lock_mode` and `lock_until` is set.
        """
        if not self.said:
            return
        for name in self.said:
            if name not in able:
                raise OperationNotSupportedException(f"{who} cannot do {name}=: leave it out for this storage")
        if (self.lock_mode is None) != (self.lock_until is None):
            raise InvalidArgumentException("lock_mode and lock_until go together: give both, or neither")


OPTION_NAMES = tuple(each.name for each in fields(UploadOptions) if each.init)


def _made_of(said: Mapping[str, Any]) -> UploadOptions:
    return UploadOptions(**said)


NO_OPTIONS = UploadOptions()
"""Options without any value."""


_PATTERNS = {
    "content_encoding": _CODINGS,
    "content_language": _LANGUAGES,
    "storage_class": _TOKEN,
    "acl": _TOKEN,
}

SERVED = frozenset({"cache_control", "content_disposition", "content_encoding", "content_language", "expires"})
"""The fields that become response headers. Storages whose files the application serves keep them."""


def _check_text(name: str, value: Any) -> None:
    """Refuse a text that cannot be a header value (RFC 9110 section 5.5)."""
    if value is not None and not (isinstance(value, str) and value and value.isascii() and value.isprintable()):
        raise InvalidArgumentException(f"{name} must be printable ASCII, not {value!a}")


def _check_time(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, datetime) and value.tzinfo is not None):
        raise InvalidArgumentException(f"{name} must be a datetime with a time zone, not {value!r}")


def _check_pairs(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(
        isinstance(text, str) and text.isprintable() for pair in value.items() for text in pair
    ):
        raise InvalidArgumentException(f"{name} must be a mapping of printable text to printable text")
