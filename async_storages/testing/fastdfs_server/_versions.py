"""Differences of FastDFS versions that clients see, observed on running servers of each version."""

from dataclasses import dataclass

__all__ = ["NEWEST", "VERSIONS", "Version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version.

    Attributes:
        name: The name that servers report to the tracker.
        address_size: Bytes of an address in a tracker's answer, by default.
        storage_record: Bytes of a storage server's record with addresses of 15 and of 45 bytes (command 92).
        group_record: Bytes of a group's record (command 91).
        has_old_crc: Ids hold the CRC-32 of libfastcommon before 1.0.38, which is not zlib's.
        falls_silent: After status 22 a storage server keeps the connection open, and never answers on it again. Other
            versions close it.
        clamps_ranges: A range may reach beyond the end of the file.
        knows_crc_of_slaves: `query_file_info` tells a slave's own checksum, not its master's.
        has_one_port: Command 105 returns one port for all servers.
        can_regenerate: Appenders can become normal files.
        runs_on_after_28: If the server refuses an upload with 28, it reads the bytes after the header as requests.
    """

    name: str
    address_size: int
    storage_record: tuple[int, int]
    group_record: int
    has_old_crc: bool = False
    falls_silent: bool = False
    clamps_ranges: bool = False
    knows_crc_of_slaves: bool = False
    has_one_port: bool = True
    can_regenerate: bool = True
    runs_on_after_28: bool = False


VERSIONS = {
    version.name: version
    for version in (
        Version(
            name="5.11",
            address_size=15,
            storage_record=(612, 612),
            group_record=105,
            has_old_crc=True,
            can_regenerate=False,
        ),
        Version(name="6.06", address_size=15, storage_record=(612, 612), group_record=105),
        Version(name="6.9.5", address_size=15, storage_record=(612, 612), group_record=105),
        Version(name="6.12.2", address_size=45, storage_record=(644, 644), group_record=105, falls_silent=True),
        Version(
            name="6.16.1",
            address_size=15,
            storage_record=(487, 517),
            group_record=113,
            clamps_ranges=True,
            knows_crc_of_slaves=True,
            has_one_port=False,
            runs_on_after_28=True,
        ),
    )
}
"""The versions of FastDFS that a `FastDFSServer` can imitate, by their numbers."""
NEWEST = "6.16.1"
