"""The facts that a `StoredFile` remembers, so that it need not request them from its storage."""

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
    """The state of a file under a fresh key. All objects of the file share it, and transactions update it.

    Attributes:
        made_in: The storage of the file.
        is_kept: True after a transaction that names the file was committed. From then on it is a usual file.
        is_gone: True if the file was deleted, because all transactions that named it were rolled back.
    """

    made_in: object = None
    is_kept: bool = False
    is_gone: bool = False


@dataclass(slots=True)
class FileFacts:
    """The facts of one file. None means unknown.

    Attributes:
        link: Makes the URL at which the application serves the file, even if the file does not exist yet.
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
