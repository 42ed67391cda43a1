"""Downloads from GCS: the headers that request a range of one version, and its checksum."""

import re
from collections.abc import Mapping

from async_storages.backends.buckets.download import ResumedDownload

__all__ = ["GCSDownload"]

_MD5 = re.compile(r"\bmd5=([A-Za-z0-9+/]+=*)")


class GCSDownload(ResumedDownload):
    """A download of an object: see `async_storages.backends.buckets.download`."""

    def headers(self) -> dict[str, str]:
        """Return the headers that request the missing bytes.

        Files with gzip as their Content-Encoding arrive as stored, and not unpacked without a size. GCS does not
        compress other files, as the User-Agent does not request it.
        """
        wanted = self.range
        return {"Accept-Encoding": "gzip", **({} if wanted is None else {"Range": wanted})}

    def query(self) -> dict[str, str]:
        """Return the parameters that request the missing bytes. Once bytes have arrived, they name the same version."""
        return {"alt": "media", **({"ifGenerationMatch": str(self.version)} if self.received else {})}

    def _version_in(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("X-Goog-Generation")

    def _checksum_in(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the MD5. The header may occur twice, or hold both checksums."""
        said = ",".join(value for name, value in headers.items() if name.lower() == "x-goog-hash")
        found = _MD5.search(said)
        return None if found is None else ("md5", found[1])
