"""Differences between S3 servers, and presets for servers that have them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

from async_storages.errors import InvalidArgumentException

__all__ = ["PRESETS", "Behaviours", "Conditions", "Endless", "behaviour_of"]

Conditions = Literal["honoured", "ignored", "refused"]
"""A server's handling of ``If-None-Match: *``: as AWS, ignored, or refused with 501 NotImplemented."""

Endless = Literal["errors", "listings", "answers", "interim"]
"""Kinds of answers that never end: error bodies, listings, every body except content, or interim answers (1xx)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviours:
    """The ways in which a server differs from AWS. The default is AWS.

    Attributes:
        conditions_on_put: How the server handles ``If-None-Match`` of PutObject.
        conditions_on_copy: How it handles ``If-None-Match`` of CopyObject.
        conditions_on_complete: How it handles ``If-None-Match`` of CompleteMultipartUpload.
        conditions_on_copy_source: How it handles ``x-amz-copy-source-if-match``.
        refuses: Headers that the server answers with `refusal`, in lower case. ``*`` stands for any characters.
        ignores: Headers that the server ignores, written as in `refuses`.
        refusal: Status and code of the answer to `refuses`, and to conditions that the server refuses.
        ignores_encoding_type: True returns keys unencoded in listings, even if ``encoding-type`` is given.
        has_equal_parts: True requires the same length of all parts of an upload except the last.
        smallest_part: The least bytes of a part, except the last.
        most_parts: The largest number of parts of an upload.
        empty_suffix: The answer to a suffix range of an empty object: 416, or 206 with ``bytes 0--1/0``.
        reports_missing_deletes: True reports NoSuchKey for a missing key in DeleteObjects.
        hides_length: True leaves Content-Length out of answers to HEAD.
        ignores_ranges: True answers every GET with 200 and all bytes.
        is_website: True answers every request with 200 and a page of HTML.
        redirects_to: The URL that the server redirects every request to. None redirects nothing.
        redirect_status: The status of a redirect: 301, 302, 307 or 308.
        archives: True treats every object as archived. False archives only objects of the storage classes GLACIER and
            DEEP_ARCHIVE.
        throttled: The number of requests, from the first on, that the server answers with 503 SlowDown.
        retry_after: Seconds in the header ``Retry-After`` of a throttled answer. None leaves the header out.
        regions: The regions that CreateBucket accepts in a LocationConstraint. None for any.
        has_strict_completion: True answers MalformedXML to a completion with a checksum that UploadPart did not return.
        has_strict_policies: True refuses form policies that escape a surrogate, for example in an emoji.
        ignores_acl_in_query: True ignores ``x-amz-acl`` in the query of a presigned URL. Only the header has an effect.
        hides_form_etag: True leaves the ETag out of answers to forms, except with ``success_action_status=201``.
        keeps_late_parts: True stores a part that arrives while its upload is aborted.
        endless: The kinds of answers that never end.
        seconds_per_byte: Seconds between two bytes of an answer's body. Content of objects is not slowed down. 0 sends
            all at once.

    Example:
        >>> Behaviours(ignores_encoding_type=True, refuses=("x-amz-checksum-crc32",)).smallest_part
        5242880
    """

    conditions_on_put: Conditions = "honoured"
    conditions_on_copy: Conditions = "honoured"
    conditions_on_complete: Conditions = "honoured"
    conditions_on_copy_source: Conditions = "honoured"
    refuses: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    refusal: tuple[int, str] = (501, "NotImplemented")
    ignores_encoding_type: bool = False
    has_equal_parts: bool = False
    smallest_part: int = 5 << 20
    most_parts: int = 10_000
    empty_suffix: Literal[206, 416] = 416
    reports_missing_deletes: bool = False
    hides_length: bool = False
    ignores_ranges: bool = False
    is_website: bool = False
    redirects_to: str | None = None
    redirect_status: int = 307
    archives: bool = False
    throttled: int = 0
    retry_after: str | None = None
    regions: tuple[str, ...] | None = None
    has_strict_completion: bool = False
    has_strict_policies: bool = False
    ignores_acl_in_query: bool = False
    hides_form_etag: bool = False
    keeps_late_parts: bool = False
    endless: frozenset[Endless] = frozenset()
    seconds_per_byte: float = 0

    @classmethod
    def with_conditions(cls, conditions: Conditions) -> "Behaviours":
        """Return a server that handles the conditions of all requests in the same way."""
        names = [each.name for each in fields(cls) if each.name.startswith("conditions_on_")]
        return cls(**dict.fromkeys(names, conditions))  # type: ignore[arg-type] # all of them are Conditions


_CHECKSUMS = ("x-amz-checksum-*", "x-amz-sdk-checksum-algorithm")

PRESETS: Mapping[str, Behaviours] = MappingProxyType(
    {
        "aws": Behaviours(),
        "b2": Behaviours(
            conditions_on_put="refused",
            conditions_on_copy="refused",
            conditions_on_complete="refused",
            refuses=_CHECKSUMS,
        ),
        "oss": Behaviours(
            conditions_on_put="refused",
            conditions_on_copy="refused",
            conditions_on_complete="refused",
        ),
        "cos": Behaviours(refuses=_CHECKSUMS, refusal=(400, "InvalidArgument")),
        "gcs": Behaviours(
            conditions_on_put="ignored",
            conditions_on_copy="ignored",
            conditions_on_complete="ignored",
            ignores=_CHECKSUMS,
        ),
        "r2": Behaviours(has_equal_parts=True, conditions_on_copy="ignored"),
        "r2-early-2025": Behaviours(has_equal_parts=True, conditions_on_copy="ignored", refuses=_CHECKSUMS),
        "r2-head": Behaviours(has_equal_parts=True, conditions_on_copy="ignored", hides_length=True),
        "minio-gateway": Behaviours(
            conditions_on_put="ignored",
            conditions_on_copy="ignored",
            conditions_on_complete="ignored",
            empty_suffix=206,
        ),
        "ceph16": Behaviours(
            conditions_on_copy="ignored",
            conditions_on_complete="ignored",
            conditions_on_copy_source="ignored",
            empty_suffix=206,
            regions=(),
            has_strict_policies=True,
            ignores_acl_in_query=True,
            hides_form_etag=True,
        ),
        "ceph-old": Behaviours(
            conditions_on_put="ignored",
            conditions_on_copy="ignored",
            conditions_on_complete="ignored",
            conditions_on_copy_source="ignored",
            ignores=_CHECKSUMS,
            ignores_encoding_type=True,
            empty_suffix=206,
            regions=(),
            has_strict_policies=True,
            ignores_acl_in_query=True,
            hides_form_etag=True,
        ),
        "versitygw": Behaviours(
            conditions_on_copy="ignored",
            ignores_encoding_type=True,
            reports_missing_deletes=True,
        ),
        "obs": Behaviours(conditions_on_copy="ignored", ignores_encoding_type=True, ignores=_CHECKSUMS),
        "swift": Behaviours(
            conditions_on_copy="ignored",
            conditions_on_complete="ignored",
            ignores=_CHECKSUMS,
            has_strict_completion=True,
        ),
        "cdn": Behaviours(ignores_ranges=True),
        "website": Behaviours(is_website=True),
        "glacier": Behaviours(archives=True),
    }
)
"""The known servers by name. Their differences come from public reports, and from runs of `StorageContract`."""


def behaviour_of(given: Behaviours | str) -> Behaviours:
    """Return the given behaviours, or those of a preset.

    Raises:
        InvalidArgumentException: There is no preset with this name.
    """
    if isinstance(given, Behaviours):
        return given
    if given not in PRESETS:
        raise InvalidArgumentException(f"no S3 server is known as {given!a}; known are {', '.join(PRESETS)}")
    return PRESETS[given]
