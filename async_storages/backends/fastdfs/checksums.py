"""Checksums in the ids of a cluster: zlib's CRC-32, or the checksum of old servers."""

from datetime import UTC, datetime

from async_storages.fastdfs_ids import FastDFSDetails

__all__ = ["OldChecksums"]

_NEW_SINCE = datetime(2018, 7, 1, tzinfo=UTC)  # libfastcommon 1.0.38; 5.x went on with the old one for long


class OldChecksums:
    """The groups whose ids hold the old checksum. For them both checksums are computed."""

    def __init__(self) -> None:
        self._groups: set[str] = set()

    @property
    def were_found(self) -> bool:
        """True if any group has such ids."""
        return bool(self._groups)

    def note(self, group: str) -> None:
        """Note that an id of this group holds the old checksum."""
        self._groups.add(group)

    def may_be_in(self, file_id: str) -> bool:
        """True if an id is likely to hold the old checksum."""
        details = FastDFSDetails.parse(file_id)
        return details is not None and (details.created_at < _NEW_SINCE or details.group in self._groups)
