"""File names and ids of the test server, made and checked as FastDFS 6.16 does it. Pure."""

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
    """A file's name without its group, such as ``M00/00/1E/fwAAAW….bin``.

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
        """Take a name apart.

        Raises:
            Refusal: It is malformed, or no file of the server can have it.
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
        """The name of a slave of this file (common/fdfs_global.c, fdfs_gen_slave_filename).

        Raises:
            Refusal: This cannot be a master's name, or the slave would take that of its metadata.
        """
        if len(f"{self.folder}/{self.name}") < 34 or (prefix == "-m" and not extension):
            raise Refusal(EINVAL)
        head, tail = self.name[:-7], self.name[-7:]
        stem = head + tail.partition(".")[0]
        dot = "." if extension and not extension.startswith(".") else ""
        return LogicName(self.path, self.folder, f"{stem}{prefix}{dot}{extension}")

    @property
    def origin(self) -> "Origin":
        """What the 27 characters of base64 say; for a slave they are its master's."""
        return Origin.decode(str(self)[_ENCODED])


@dataclass(frozen=True, slots=True)
class Origin:
    """What a file's name says about it.

    Attributes:
        source: The storage server: 4 bytes of IPv4, or its id, little-endian.
        timestamp: Unix seconds.
        size: As it stands there, masked.
        crc: CRC-32 (zlib).
    """

    source: bytes
    timestamp: int
    size: int
    crc: int

    @classmethod
    def decode(cls, text: str) -> "Origin":
        """From 27 characters of base64."""
        return cls(*struct.unpack(">4sIQI", base64.urlsafe_b64decode(text + "=")))

    def encode(self) -> str:
        """The 27 characters of base64."""
        raw = struct.pack(">4sIQI", self.source, self.timestamp, self.size, self.crc)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def encoded(source: bytes, timestamp: int, *, size: int | None, crc: int, extension: str, random: Random) -> str:
    """The last segment of a new file's name (storage/storage_service.c, storage_gen_filename).

    Args:
        source: See `Origin`.
        timestamp: See `Origin`.
        size: Of the content; None makes it an appender's name.
        crc: See `Origin`.
        extension: At most 6 characters.
        random: Fills what is random in a name.
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
    """Whether a name says that its file can be appended to."""
    return bool(name.origin.size & _APPENDER)


def is_slave(name: LogicName) -> bool:
    """Whether a name is longer than that of a file of its own."""
    return len(str(name)) > _NORMAL_LENGTH


def crc_of(name: LogicName) -> int:
    """The CRC-32 that a name says."""
    return name.origin.crc


def checked_suffix(field: bytes) -> str:
    """An extension or a prefix out of its NUL-padded field.

    Raises:
        Refusal: It has characters that no name may have.
    """
    text = field.partition(b"\0")[0]
    if not _SUFFIX.fullmatch(text):
        raise Refusal(EINVAL)
    return text.decode()
