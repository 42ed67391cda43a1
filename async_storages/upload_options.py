"""Options of new files beside content, type and metadata: how they are served, encrypted, kept and paid for.

Options are said per storage, per column and per call; what is said nearer to the call counts, field by field. Pure.
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
"""The strength of a lock: some may shorten or lift it, or nobody may."""

_TOKEN = re.compile(r"[A-Za-z0-9_:-]+")
_CODINGS = re.compile(r"[\w!#$%&'*+.^`|~-]+(?:\s*,\s*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_LANGUAGES = re.compile(r"[A-Za-z0-9-]+(?:\s*,\s*[A-Za-z0-9-]+)*")

_MOST_TAGS = 10
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsEncryption:
    """Encryption with a key that AWS KMS, or Google's, keeps.

    Attributes:
        key_id: The key: an id, ARN or alias of AWS, ``"projects/…/cryptoKeys/…"`` of Google; None for the default one.
        context: Pairs that each use of the key is logged and permitted by (S3 only); not shown in a repr.
        bucket_key: Whether S3 asks KMS for a key of the bucket instead of one for each object; None leaves it to the
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
    """Encryption with a key that comes with each request, and that the server forgets (SSE-C).

    Reads need it as well, so it is said for a storage and not for a column; presigned URLs do not work.

    Args:
        key: 32 bytes; never shown.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.key, bytes) or len(self.key) != _KEY_BYTES:
            raise InvalidArgumentException(
                f"a customer's key has {_KEY_BYTES} bytes: os.urandom({_KEY_BYTES}) makes one"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Refused: a pickle in a queue or a cache would hold the key readably."""
        raise InvalidArgumentException("a customer's key is not pickled: give it to each process")


type Encryption = Literal["AES256", "aws:kms"] | KmsEncryption | CustomerKey
"""With the server's own key, with the default key of a key service, with a named one, with one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """Options of a new file beside content, type and metadata; None leaves a field to the column or the storage.

    Given to a storage (`upload_options=`), a column (`FileType(upload_options=)`), a `PendingFile` or a call
    (`options=`). A storage that cannot do something raises OperationNotSupportedException, which names the option.

    Attributes:
        cache_control: Of the answers that give the file: ``"max-age=31536000, immutable"``.
        content_disposition: Likewise; `filename=` of a presigned URL or a response goes before it.
        content_encoding: How the content that is given is already encoded: ``"gzip"``.
        content_language: ``"de, en"``.
        expires: Until when a cache may keep it; with a time zone. `cache_control` is the newer way to say so.
        encryption: On the server: ``"AES256"``, ``"aws:kms"``, `KmsEncryption` or `CustomerKey`. A bucket's default
            encrypts also without.
        tags: Up to 10 pairs that lifecycle rules, permissions and bills go by (S3).
        storage_class: ``"STANDARD_IA"``, ``"NEARLINE"`` …
        acl: A canned ACL: ``"public-read"`` (S3), ``"publicRead"`` (GCS).
        lock_mode: With `lock_until`, in a bucket with object lock: ``"GOVERNANCE"`` or ``"COMPLIANCE"``.
        lock_until: Before this time, with a time zone, the version cannot be deleted.

    Raises:
        InvalidArgumentException: A value that no storage takes.

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
    """The fields that say something."""

    def __post_init__(self) -> None:
        said = {name: value for name in OPTION_NAMES if (value := getattr(self, name)) is not None}
        object.__setattr__(self, "said", MappingProxyType(said))
        if said:
            self._check()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by what it says."""
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
        """Fill the fields that are None from `further` options."""
        if further is None or self is NO_OPTIONS:
            return further or self
        return replace(further, **self.said) if self.said else further

    def require(self, able: Collection[str], who: str) -> None:
        """Refuse what a storage cannot do.

        Args:
            able: The fields that it can.
            who: Its name, for people.

        Raises:
            OperationNotSupportedException: Names the first option that it cannot.
            InvalidArgumentException: One of `lock_mode` and `lock_until` without the other.
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
"""Options that say nothing."""


_PATTERNS = {
    "content_encoding": _CODINGS,
    "content_language": _LANGUAGES,
    "storage_class": _TOKEN,
    "acl": _TOKEN,
}

SERVED = frozenset({"cache_control", "content_disposition", "content_encoding", "content_language", "expires"})
"""The fields that the answers have which give the file: storages that are served by the application keep them."""


def _check_text(name: str, value: Any) -> None:
    """Refuse what is no value of a header (RFC 9110 section 5.5)."""
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
