"""Originals: what their first bytes tell, and whether they are let in, before anything is decoded. Blocks."""

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
    """An image file that was let in.

    Attributes:
        path: The file.
        format: The name of its format, by content.
        size: Its size, and the orientation that engines apply.
    """

    path: Path
    format: str
    size: ImageSize

    @property
    def content_type(self) -> str:
        """The media type."""
        return READABLE[self.format]

    @property
    def may_be_animated(self) -> bool:
        """True if its format has animations; the pages of a TIFF are none, nor are the images of a camera's JPEG."""
        return self.format in _ANIMATED

    def turned(self) -> "Original":
        """The same image for a decoder that applies the orientation itself."""
        return replace(self, size=ImageSize(*self.size.dimensions))


def inspected(path: Path, limits: ImageLimits) -> Original:
    """Look at a file's header.

    Raises:
        FileNotFoundException: There is no such file.
        InvalidFileTypeException: It is no image of a format that is let in, has too many pixels, or is damaged.
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
    """The size that the header of an open file tells.

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
