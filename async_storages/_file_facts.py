"""Facts that a `StoredFile` remembers, so that nobody has to ask its storage."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from async_storages.images.size import ImageSize

if TYPE_CHECKING:
    from async_storages.models import FileBasicInfo

__all__ = ["FileFacts", "NewFileState"]


@dataclass(slots=True, eq=False)
class NewFileState:
    """State of a file under a fresh key: shared by all objects of it, kept up to date by transactions that name it.

    Attributes:
        made_in: Its storage.
        is_kept: A transaction that names it was committed: from then on it is a file like any other.
        is_gone: It was removed, as all transactions that named it were rolled back.
    """

    made_in: object = None
    is_kept: bool = False
    is_gone: bool = False


@dataclass(slots=True)
class FileFacts:
    """Facts of one file; None where nothing is known.

    Attributes:
        link: Makes the URL at which an application gives the file, whether the storage has it yet or not.
    """

    info: "FileBasicInfo | None" = None
    size: int | None = None
    image_size: ImageSize | None = None
    crc32: int | None = None
    content_type: str | None = None
    filename: str | None = None
    sha256: str | None = None
    upload_time: datetime | None = None
    placeholder: str | None = None
    new_file_state: NewFileState | None = None
    link: Callable[[], str] | None = None
