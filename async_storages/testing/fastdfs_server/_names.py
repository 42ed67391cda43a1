"""Make and check the file names and ids of the test server, as FastDFS 6.16 does. Pure."""

import base64
import re
import struct
from dataclasses import dataclass
from random import Random

from async_storages.testing.fastdfs_server._wire import EINVAL, ENOENT, Refusal

__all__ = ["FOUR_GIB", "LogicName", "Origin", "checked_suffix", "crc_of", "encoded", "is_appender", "is_slave"]

FOUR_GIB = 1 << 32
_APPENDER = 1 << 58
_NORMAL_LENGTH = 44  # "M00/00/00/", 27 characters of base64, a tail of 7
_LONGEST = 127
_ENCODED = slice(10, 37)
_LOGIC_NAME = re.compile(rb"M([0-9A-F]{2})/([0-9A-F]{2}/[0-9A-F]{2})/([^/]+)", re.DOTALL)
_SUFFIX = re.compile(rb"[A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class LogicName:
    """A file's name without its group, for example ``M00/00/1E/fwAAAW….bin``.

    Attributes:
        path: The index of the store path.
        folder: Two upper-case hex bytes with a slash between.
        name: The last segment.
    """

    path: int
    folder: str
    name: str

    @classmethod
    def parse(cls, raw: bytes) -> "LogicName":
        """Split a name into its parts.

        Raises:
            Refusal: The name is malformed, or no file can have it.
        """
        found = _LOGIC_NAME.fullmatch(raw)
        if not found or found[3] in {b".", b".."} or len(raw) > _LONGEST:
            raise Refusal(EINVAL)
        if not _SUFFIX.fullmatch(found[3]):
            raise Refusal(ENOENT)
        return cls(int(found[1], 16), found[2].decode(), found[3].decode())

    def __str__(self) -> str:
        return f"M{self.path:02X}/{self.folder}/{self.name}"

    def slave(self, prefix: str, extension: str) -> "LogicName":
        """Return the name of a slave of this file (common/fdfs_global.c, fdfs_gen_slave_filename).

        Raises:
            Refusal: A file with this name cannot be a master, or the slave would have the name of the master's
                metadata.
        """
        if len(f"{self.folder}/{self.name}") < 34 or (prefix == "-m" and not extension):
            raise Refusal(EINVAL)
        head, tail = self.name[:-7], self.name[-7:]
        stem = head + tail.partition(".")[0]
        dot = "." if extension and not extension.startswith(".") else ""
        return LogicName(self.path, self.folder, f"{stem}{prefix}{dot}{extension}")

    @property
    def origin(self) -> "Origin":
        """Return the facts in the 27 characters of base64. A slave has the facts of its master."""
        return Origin.decode(str(self)[_ENCODED])


@dataclass(frozen=True, slots=True)
class Origin:
    """The facts in a file's name.

    Attributes:
        source: The storage server: the 4 bytes of its IPv4 address, or its id, little-endian.
        timestamp: Unix seconds.
        size: The size as the name holds it, masked.
        crc: CRC-32 (zlib).
    """

    source: bytes
    timestamp: int
    size: int
    crc: int

    @classmethod
    def decode(cls, text: str) -> "Origin":
        """Return the facts in 27 characters of base64."""
        return cls(*struct.unpack(">4sIQI", base64.urlsafe_b64decode(text + "=")))

    def encode(self) -> str:
        """Return the 27 characters of base64."""
        raw = struct.pack(">4sIQI", self.source, self.timestamp, self.size, self.crc)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def encoded(source: bytes, timestamp: int, *, size: int | None, crc: int, extension: str, random: Random) -> str:
    """Return the last segment of a new file's name (storage/storage_service.c, storage_gen_filename).

    Args:
        source: As for `Origin`.
        timestamp: As for `Origin`.
        size: The size of the content; None makes an appender's name.
        crc: As for `Origin`.
        extension: At most 6 characters.
        random: Fills the random parts.
    """
    masked = _masked(size, random)
    digits = 6 - len(extension) if extension else 7
    tail = "".join(random.choices("0123456789", k=digits)) + (f".{extension}" if extension else "")
    return Origin(source, timestamp, masked, crc).encode() + tail


def _masked(size: int | None, random: Random) -> int:
    if size is not None and size >= FOUR_GIB:
        return size
    high = (random.getrandbits(23) | 0x80000000) << 32
    return high | _APPENDER if size is None else high | size


def is_appender(name: LogicName) -> bool:
    """True for the name of an appender."""
    return bool(name.origin.size & _APPENDER)


def is_slave(name: LogicName) -> bool:
    """True for the name of a slave. It is longer than other names."""
    return len(str(name)) > _NORMAL_LENGTH


def crc_of(name: LogicName) -> int:
    """Return the CRC-32 in a name."""
    return name.origin.crc


def checked_suffix(field: bytes) -> str:
    """Return the extension or prefix in a NUL-padded field.

    Raises:
        Refusal: The field has characters that names must not have.
    """
    text = field.partition(b"\0")[0]
    if not _SUFFIX.fullmatch(text):
        raise Refusal(EINVAL)
    return text.decode()
