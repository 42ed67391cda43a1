"""Downloads from S3: the headers that request a range of one version, and its checksum."""

from collections.abc import Mapping

from async_storages.backends.buckets.download import ResumedDownload

__all__ = ["WITH_CHECKSUM", "S3Download"]

WITH_CHECKSUM = {"x-amz-checksum-mode": "ENABLED"}
"""The header of a GET or HEAD that requests the stored checksum."""


class S3Download(ResumedDownload):
    """A download of an object: see `async_storages.backends.buckets.download`."""

    def headers(self) -> dict[str, str]:
        """Return the headers that first request the whole object, then the missing bytes of the same version."""
        if (wanted := self.range) is None:
            return WITH_CHECKSUM
        return {"Range": wanted, "If-Match": str(self.version)} if self.received else {"Range": wanted}

    def _version_in(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("ETag")

    def _checksum_in(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        crc32 = headers.get("x-amz-checksum-crc32", "-")
        return None if "-" in crc32 else ("crc32", crc32)  # a checksum of parts, "…-3", does not cover the whole
