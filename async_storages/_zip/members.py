"""The headers of an archive: APPNOTE.TXT 6.3.10."""

import struct
import zlib
from datetime import datetime

from async_storages._zip.blocks import blocks_size
from async_storages._zip.times import EARLIEST, dos_time, time_extra, within_zip
from async_storages.errors import ChecksumMismatchException, StorageOperationException

__all__ = ["END_MARK", "Archive", "Member"]

_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF

_LOCAL_HEADER = struct.Struct("<4s3H4L2H")
_DESCRIPTOR, _WIDE_DESCRIPTOR = struct.Struct("<4s3L"), struct.Struct("<4sL2Q")
_CENTRAL_HEADER = struct.Struct("<4s4H4L5H2L")
_WIDE_END, _WIDE_END_LOCATOR = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
END_MARK = b"PK\5\6"

_FACTS_BEHIND, _UTF8_NAMES = 1 << 3, 1 << 11
_STORED, _DEFLATED = 0, 8
_VERSION, _WIDE_VERSION = 20, 45
_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
_WIDE_EXTRA = 0x0001


class Member:
    """The headers of a file in an archive. No I/O.

    If size and checksum are known before, the header holds them, and the bytes follow as they are. Otherwise they stand
    behind the data. The data is then deflated, at least into stored blocks, so that a reader that cannot seek finds the
    end.

    Attributes:
        offset: The position of the file in the archive.
        size: The number of bytes so far.
        packed: The number of bytes that they take in the archive.
        crc: The CRC-32 of the bytes so far.
        is_told: True if the header holds size and checksum.
        expected: The number of bytes in all. None if it is not known.
    """

    __slots__ = (
        *("_expected_crc", "_extra", "_is_damaged", "_is_wide", "_time"),
        *("_name", "crc", "expected", "is_told", "offset", "packed", "size"),
    )

    def __init__(
        self, name: str, offset: int, size: int | None, crc32: int | None, modified: datetime | None, *, compress: bool
    ) -> None:
        within = within_zip(modified or EARLIEST)
        self._name = name.encode()
        self.offset = offset
        self.expected = size
        self.size = self.packed = self.crc = 0
        self.is_told = size is not None and crc32 is not None and not compress
        self._expected_crc = crc32
        self._is_damaged = False
        # of what is not known to be larger the sizes behind the data tell, as everywhere: Java knows no other way
        least = 0 if size is None else size if compress or self.is_told else blocks_size(size)
        self._is_wide = least >= _MAX_32
        self._time = dos_time(within)
        self._extra = time_extra(within) if modified is not None else b""

    def add(self, chunk: bytes) -> None:
        """Count the next bytes of the file.

        Raises:
            StorageOperationException: There are more bytes than were announced.
        """
        size = self.size + len(chunk)
        if self.expected is not None and size > self.expected:
            raise StorageOperationException(f"more than the announced {self.expected} bytes came")
        self.size = size
        self.crc = zlib.crc32(chunk, self.crc)

    def packing(self, packed: bytes) -> bytes:
        """Count the next bytes in the archive."""
        self.packed += len(packed)
        return packed

    def check_complete(self) -> None:
        """Refuse a file whose size or checksum is not the announced one.

        Raises:
            StorageOperationException: The file is shorter.
            ChecksumMismatchException: The file has another checksum.
        """
        if self.expected is not None and self.size < self.expected:
            raise StorageOperationException(f"only {self.size} of the announced {self.expected} bytes came")
        if self._expected_crc not in {None, self.crc}:
            raise ChecksumMismatchException(f"crc32 is {self.crc:08x}, but {self._expected_crc:08x} was announced")

    def damage(self) -> None:
        """Make the checksum wrong, so that no reader accepts the file as whole."""
        self._is_damaged = True

    def foresee(self, size: int) -> None:
        """Count a whole file of this size that is not deflated, without reading it."""
        self.size, self.packed = size, size if self.is_told else blocks_size(size)

    def local_header(self) -> bytes:
        """APPNOTE 4.3.7. Values that are not known yet are 0, in the old fields or in 8 bytes each."""
        crc, size = (self._expected_crc or 0, self.expected or 0) if self.is_told else (0, 0)
        wide = struct.pack("<2H2Q", _WIDE_EXTRA, 16, size, size) if self._is_wide else b""
        if self._is_wide:
            size = _MAX_32
        lengths = len(self._name), len(wide + self._extra)
        fields = self._version, self._flags, self._method, self._time, crc, size, size, *lengths
        return _LOCAL_HEADER.pack(b"PK\3\4", *fields) + self._name + wide + self._extra

    @property
    def header_size(self) -> int:
        """The bytes of the local header."""
        return _LOCAL_HEADER.size + len(self._name) + 20 * self._is_wide + len(self._extra)

    def descriptor(self) -> bytes:
        """APPNOTE 4.3.9. Empty if the header holds size and checksum."""
        if self.is_told:
            return b""
        is_wide = self._is_wide or max(self.size, self.packed) >= _MAX_32
        return (_WIDE_DESCRIPTOR if is_wide else _DESCRIPTOR).pack(b"PK\7\x08", self._shown_crc, self.packed, self.size)

    def central_header(self) -> bytes:
        """APPNOTE 4.3.12. The Zip64 field (4.5.3) holds only values that are too large for the old fields."""
        values = self.size, self.packed, self.offset
        large = [value for value in values if value >= _MAX_32]
        wide = struct.pack(f"<2H{len(large)}Q", _WIDE_EXTRA, 8 * len(large), *large) if large else b""
        size, packed, offset = (min(value, _MAX_32) for value in values)
        version = _WIDE_VERSION if large else self._version
        fields = _UNIX | version, version, self._flags, self._method, self._time, self._shown_crc, packed, size
        lengths = len(self._name), len(wide + self._extra), 0
        header = _CENTRAL_HEADER.pack(b"PK\1\2", *fields, *lengths, 0, 0, _REGULAR_FILE, offset)
        return header + self._name + wide + self._extra

    @property
    def _version(self) -> int:
        return _WIDE_VERSION if self._is_wide else _VERSION

    @property
    def _flags(self) -> int:
        return _UTF8_NAMES if self.is_told else _UTF8_NAMES | _FACTS_BEHIND

    @property
    def _method(self) -> int:
        return _STORED if self.is_told else _DEFLATED

    @property
    def _shown_crc(self) -> int:
        return self.crc ^ _MAX_32 if self._is_damaged else self.crc


class Archive:
    """The layout of an archive. No I/O.

    Attributes:
        length: The length in bytes of the archive so far, up to the end of the last complete file.
    """

    def __init__(self) -> None:
        self.length = 0
        self._directory = bytearray()
        self._count = 0

    def end(self, member: Member) -> bytes:
        """Count a complete file. Return the bytes that follow it."""
        descriptor = member.descriptor()
        self.length += member.header_size + member.packed + len(descriptor)
        self._directory += member.central_header()
        self._count += 1
        return descriptor

    def finish(self) -> bytes:
        """Return the directory and the end of the archive."""
        self._directory += self._end()
        self.length += len(self._directory)
        return bytes(self._directory)

    def _end(self) -> bytes:
        """APPNOTE 4.3.14 to 4.3.16. The old fields hold their largest value if the Zip64 fields count."""
        count, size, start = self._count, len(self._directory), self.length
        narrow = _END.pack(END_MARK, 0, 0, *[min(count, _MAX_16)] * 2, min(size, _MAX_32), min(start, _MAX_32), 0)
        if count < _MAX_16 and max(size, start) < _MAX_32:
            return narrow
        fields = _WIDE_END.size - 12, _UNIX | _WIDE_VERSION, _WIDE_VERSION, 0, 0, count, count, size, start
        wide = _WIDE_END.pack(b"PK\6\6", *fields)
        return wide + _WIDE_END_LOCATOR.pack(b"PK\6\7", 0, start + size, 1) + narrow
