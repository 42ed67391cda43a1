"""A file to store in a bucket."""

from collections.abc import Mapping
from dataclasses import dataclass

from async_storages.backends.buckets.part_splitter import PartSplitter
from async_storages.upload_options import UploadOptions

__all__ = ["NewFile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file to store.

    Attributes:
        key: The key.
        parts: The content.
        content_type: The type of the content.
        metadata: The user's metadata.
        options: The upload options of this file.
        overwrite: True replaces an existing file.
        is_fresh: True if no other file can have this key.
    """

    key: str
    parts: PartSplitter
    content_type: str
    metadata: Mapping[str, str]
    options: UploadOptions
    overwrite: bool
    is_fresh: bool
