"""The ETag that a bucket gives to a file, computed while its bytes pass: the MD5, or the MD5 of the parts' MD5s."""

from async_storages._checksums import new_checksum

__all__ = ["ETag"]


class ETag:
    """The ETag of one file. Where a server answers another one, as with SSE-KMS, it says nothing about the bytes.

    Args:
        size: The size of the file in bytes.
        part_size: The size of its parts in bytes. A file of at most this size has no parts.
    """

    def __init__(self, size: int, part_size: int) -> None:
        self._has_parts = size > part_size
        self._part_size = part_size
        self._ended: list[bytes] = []
        self._part = new_checksum("md5")
        self._room = part_size

    def update(self, data: bytes) -> None:
        """Add bytes."""
        start = 0
        while self._has_parts and len(data) - start > self._room:
            self._part.update(data[start : start + self._room])
            start += self._room
            self._ended.append(self._part.digest())
            self._part, self._room = new_checksum("md5"), self._part_size
        self._part.update(data[start:])
        self._room -= len(data) - start

    def __str__(self) -> str:
        """Return the ETag of the bytes so far, without quotes."""
        if not self._has_parts:
            return self._part.digest().hex()
        whole = new_checksum("md5")
        parts = [*self._ended, self._part.digest()]
        whole.update(b"".join(parts))
        return f"{whole.digest().hex()}-{len(parts)}"
