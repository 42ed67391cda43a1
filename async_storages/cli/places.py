"""Arguments of commands that name files: ids, folders of stored files, paths, and ``-``."""

import re
from dataclasses import dataclass
from pathlib import Path

from async_storages import ids
from async_storages.cli.application import Application
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FASTDFS, FileId
from async_storages.storage.base import Storage

__all__ = ["LocalPath", "Place", "StoredPlace", "Stream", "file_at", "parse_place"]

_FASTDFS_ID = re.compile(r"[A-Za-z0-9]{1,16}/M[0-9A-F]{2}/", re.ASCII)


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A file or folder on this computer.

    Attributes:
        path: The path.
        is_folder: True if the argument ended with a slash.
    """

    path: Path
    is_folder: bool

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Stream:
    """Standard input or output."""

    def __str__(self) -> str:
        return "-"


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """A file in a storage, or a folder of files.

    Attributes:
        storage: The storage.
        key: The whole key. It ends with a slash for a folder. It is empty for the whole storage.
    """

    storage: Storage
    key: str

    @property
    def is_folder(self) -> bool:
        """True if the place cannot be a file."""
        return not self.key or self.key.endswith("/")

    @property
    def folder(self) -> str:
        """The beginning of the keys in the folder."""
        return self.key if self.is_folder else f"{self.key}/"

    def file(self, key: str | None = None) -> FileId:
        """Return the id of the file, or of another file in the same storage."""
        return FileId(self.storage.scheme, self.storage.bucket, self.key if key is None else key)

    def __str__(self) -> str:
        if self.storage.scheme == FASTDFS:
            return self.key or f"{FASTDFS}:"
        if self.storage.bucket is None:
            return f"{self.storage.scheme}:{self.key}"
        return f"{self.storage.scheme}:{self.storage.bucket}/{self.key}"


type Place = LocalPath | Stream | StoredPlace


def parse_place(text: str, application: Application) -> Place:
    """Return the place that an argument names. No I/O.

    Raises:
        InvalidArgumentException: The argument names no place, or a storage that the application lacks.
    """
    if text == "-":
        return Stream()
    if text in {".", ".."} or text.startswith(("./", "../")) or Path(text).is_absolute():
        if "\x00" in text:
            raise InvalidArgumentException(f"{text!r} is no path: it holds a NUL")
        return LocalPath(Path(text), text.endswith("/"))
    ids.check_text(text)
    scheme = ids.scheme_of(text)
    if scheme is None:
        if not _FASTDFS_ID.match(text):
            raise InvalidArgumentException(
                f"{text!r} is neither an id nor a path: write ./{text} for a file of this computer, or an id such as "
                "s3:bucket/key"
            )
        return StoredPlace(application.find(FASTDFS, None, text), text)
    rest = text[len(scheme) + 1 :]
    if scheme == FASTDFS and not rest:
        return StoredPlace(application.find(FASTDFS, None, ""), "")
    if scheme not in ids.known_schemes():
        raise InvalidArgumentException(
            f"{text!r}: unknown scheme {scheme!r}; known are {', '.join(ids.known_schemes())}"
        )
    if FileId.parse(f"{scheme}:a/b").bucket is None:
        return StoredPlace(application.find(scheme, None, rest), rest)
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise InvalidArgumentException(f"{text!r} names no bucket: write {scheme}:bucket/key")
    return StoredPlace(application.find(scheme, bucket, key), key)


def file_at(text: str, application: Application) -> StoredPlace:
    """Return the stored file that an argument names.

    Raises:
        InvalidArgumentException: The argument names something else.
    """
    place = parse_place(text, application)
    if not isinstance(place, StoredPlace) or place.is_folder:
        raise InvalidArgumentException(f"{text!r} is not the id of a file, such as s3:bucket/key")
    place.storage.identify(place.file())
    return place
