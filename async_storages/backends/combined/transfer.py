"""Copying a file from one storage to another, with everything that describes it."""

from collections.abc import AsyncIterable
from typing import Any

from async_storages._media_types.well_formed import is_well_formed
from async_storages.content import Content
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.base import FileName, Storage
from async_storages.upload_options import SERVED, UploadOptions

__all__ = ["content_of", "transfer"]


async def transfer(
    source: Storage,
    file: FileId,
    target: Storage,
    key: FileName,
    *,
    overwrite: bool,
    info: FileBasicInfo | None = None,
) -> Content:
    """Stream a file to another storage. It is stored whole or not at all.

    The number of bytes must be the one that the source announces. Both storages compare their checksums of the file.

    Args:
        source: Holds the file.
        file: Its id.
        target: The storage of the copy.
        key: The key of the copy.
        overwrite: False refuses a key that is taken.
        info: The source's facts about the file, if they are known.

    Returns:
        The content that was copied.

    Raises:
        FileNotFoundException: The source does not have the file.
        FileExistsException: The key is taken, and `overwrite` is False.
    """
    found = await source.stat(file) if info is None else info
    async with content_of(found, source.stream(file), target) as content:
        await target.write(content, key, overwrite=overwrite)
        return content


def content_of(info: FileBasicInfo, chunks: AsyncIterable[bytes], target: Storage) -> Content:
    """Return the content of another storage's file, with its type, metadata and headers.

    Args:
        info: The other storage's facts about the file. A malformed type is replaced by a guess.
        chunks: The bytes of the file.
        target: The storage for the copy. Headers that it does not support are left out.
    """
    has_type = info.content_type is not None and is_well_formed(info.content_type)
    said: dict[str, Any] = {name: getattr(info, name) for name in SERVED.intersection(target.able_options)}
    content = Content(
        chunks,
        filename=info.file_name,
        content_type=info.content_type if has_type else None,
        size=info.file_size,
        options=UploadOptions(**said),
    )
    content.metadata = dict(info.metadata)  # also what other tools have written, and `check_metadata` would refuse
    return content
