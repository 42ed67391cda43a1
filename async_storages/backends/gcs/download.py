"""How GCS tells the version and the checksum of what it answers."""

import re
from collections.abc import Mapping

from async_storages.backends.buckets.download import ResumedDownload

__all__ = ["GCSDownload"]

_MD5 = re.compile(r"\bmd5=([A-Za-z0-9+/]+=*)")


class GCSDownload(ResumedDownload):
    """See `async_storages.backends.buckets.download`."""

    def headers(self) -> dict[str, str]:
        """The headers that ask for what is missing.

        Files stored with gzip as their Content-Encoding come as they are stored, instead of unpacked and without a
        size. Nothing else is packed for it: that takes a User-Agent which says so, too.
        """
        wanted = self.range
        return {"Accept-Encoding": "gzip", **({} if wanted is None else {"Range": wanted})}

    def query(self) -> dict[str, str]:
        """The parameters that ask for it, of the version of which something has come."""
        return {"alt": "media", **({"ifGenerationMatch": str(self.version)} if self.received else {})}

    def _version_in(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("X-Goog-Generation")

    def _checksum_in(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """The header may be there twice, or hold both checksums."""
        said = ",".join(value for name, value in headers.items() if name.lower() == "x-goog-hash")
        found = _MD5.search(said)
        return None if found is None else ("md5", found[1])
