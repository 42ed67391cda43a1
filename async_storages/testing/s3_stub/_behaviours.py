"""Differences of S3 servers, by name, and the servers that are known to have them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

from async_storages.errors import InvalidArgumentException

__all__ = ["PRESETS", "Behaviours", "Conditions", "Endless", "behaviour_of"]

Conditions = Literal["honoured", "ignored", "refused"]
"""A server's handling of ``If-None-Match: *``: as AWS, ignored, or refused with 501 NotImplemented."""

Endless = Literal["errors", "listings", "answers", "interim"]
"""Answers without an end: bodies of errors, listings, other bodies than content; 1xx before any answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviours:
    """Deviations of a server from AWS. The default is AWS.

    Attributes:
        conditions_on_put: ``If-None-Match`` of PutObject.
        conditions_on_copy: ``If-None-Match`` of CopyObject.
        conditions_on_complete: ``If-None-Match`` of CompleteMultipartUpload.
        conditions_on_copy_source: ``x-amz-copy-source-if-match``.
        refuses: Headers that are answered with `refusal`, in lower case; ``*`` stands for any characters.
        ignores: Headers that are treated as if they were not there; written like `refuses`.
        refusal: Status and code of such answers, also of conditions that are refused.
        ignores_encoding_type: Listings give keys as they are, whatever ``encoding-type`` says.
        has_equal_parts: All parts of an upload but the last must have one length.
        smallest_part: Bytes that a part before the last must have.
        most_parts: The most parts of an upload.
        empty_suffix: The answer to a suffix range of an empty object: 416, or 206 with ``bytes 0--1/0``.
        reports_missing_deletes: DeleteObjects reports NoSuchKey for a missing key.
        hides_length: Answers to HEAD have no Content-Length.
        ignores_ranges: Every GET is answered with 200 and all bytes.
        is_website: Every request is answered with 200 and a page of HTML.
        redirects_to: Every request is redirected to this URL.
        redirect_status: 301, 302, 307 or 308.
        archives: Every object is archived, not only those of the storage classes GLACIER and DEEP_ARCHIVE.
        throttled: The first requests, this many, are answered with 503 SlowDown.
        retry_after: Seconds, as the header ``Retry-After`` of a throttled answer; None for none.
        regions: The regions that a bucket can be created in by a LocationConstraint; None for any.
        has_strict_completion: A completion that names a checksum which UploadPart did not answer is MalformedXML.
        has_strict_policies: A policy of a form with an escape of a surrogate, such as those of an emoji, is refused.
        ignores_acl_in_query: A presigned ``x-amz-acl`` has an effect only as a header.
        hides_form_etag: Forms are answered without an ETag, unless with ``success_action_status=201``.
        keeps_late_parts: A part that arrives while its upload is aborted is stored afterwards.
        endless: Answers without an end.
        seconds_per_byte: Bodies of answers other than content come byte by byte, at this pace; 0 for at once.

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
        """A server that handles the conditions of all requests in one way."""
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
"""Servers by name, as public reports and runs of the contract suite show them."""


def behaviour_of(given: Behaviours | str) -> Behaviours:
    """The behaviours, or those of a preset.

    Raises:
        InvalidArgumentException: The name is not that of a preset.
    """
    if isinstance(given, Behaviours):
        return given
    if given not in PRESETS:
        raise InvalidArgumentException(f"no S3 server is known as {given!a}; known are {', '.join(PRESETS)}")
    return PRESETS[given]
