"""Originals: this module checks their format and size from the first bytes, before an engine decodes them. Blocks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from async_storages.errors import FileNotFoundException, InvalidArgumentException, InvalidFileTypeException
from async_storages.images.formats import READABLE
from async_storages.images.probe import ImageProbe
from async_storages.images.size import ImageSize
from async_storages.imaging.limits import ImageLimits
from async_storages.sniff import UNKNOWN_TYPE, sniff

__all__ = ["Original", "inspected", "size_in"]

_HEAD = 4096
_ANIMATED = frozenset({"avif", "gif", "png", "webp"})
_NAMES = {content_type: name for name, content_type in READABLE.items()}


@dataclass(frozen=True, slots=True)
class Original:
    """An image file within the limits.

    Attributes:
        path: The path of the file.
        format: The name of its format, detected from the content.
        size: Its size, and the orientation that engines apply.
    """

    path: Path
    format: str
    size: ImageSize

    @property
    def content_type(self) -> str:
        """The content type."""
        return READABLE[self.format]

    @property
    def may_be_animated(self) -> bool:
        """True if its format has animations. The pages of a TIFF and the images of a camera's JPEG do not count."""
        return self.format in _ANIMATED

    def turned(self) -> "Original":
        """Return the same image with upright orientation, for a decoder that has turned the image already."""
        return replace(self, size=ImageSize(*self.size.dimensions))


def inspected(path: Path, limits: ImageLimits) -> Original:
    """Check the header of a file, and return the original.

    Raises:
        FileNotFoundException: The file cannot be read.
        InvalidFileTypeException: The file is not an image of an allowed format, has too many pixels, or is damaged.
    """
    try:
        with path.open("rb") as file:
            image_format = _format_of(file.read(_HEAD), limits)
            size = size_in(file)
    except OSError as error:
        raise FileNotFoundException(f"the original cannot be read: {error.strerror}", file_id=str(path)) from error
    if size is None:
        raise InvalidFileTypeException("the content is not an image of a known format", rule="image_format")
    limits.check_pixels(size.dimensions)
    return Original(path, image_format, size)


def _format_of(head: bytes, limits: ImageLimits) -> str:
    content_type = sniff(head) or UNKNOWN_TYPE
    name = _NAMES.get(content_type)
    if name is None or name not in limits.formats:
        raise InvalidFileTypeException(
            f"{content_type} is not among the formats allowed: {', '.join(limits.formats)}", rule="image_format"
        )
    return name


def size_in(file: BinaryIO) -> ImageSize | None:
    """Return the size in the header of an open file. None if the format is unknown.

    Raises:
        InvalidFileTypeException: The header is damaged.
    """
    probe = ImageProbe()
    try:
        while (wanted := probe.wanted) is not None:
            file.seek(wanted.offset)
            probe.feed(wanted.offset, file.read(wanted.length))
    except InvalidArgumentException as error:
        raise InvalidFileTypeException(f"the image is damaged: {error.reason}", rule="image_damaged") from error
    return probe.result
