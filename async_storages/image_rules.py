"""Rules for images: their dimensions are within limits, and Pillow can decode them."""

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from async_storages._tasks import offload
from async_storages.content import Content
from async_storages.errors import ImageRefusal, InvalidArgumentException, InvalidFileTypeException
from async_storages.images.formats import READABLE
from async_storages.images.probe import ImageSize, probe_image
from async_storages.sniff import sniff

__all__ = ["ImageRules"]

_HEAD = 4096
_IN_MEMORY = 1 << 20  # bytes; what is larger is decoded from a temporary file


@dataclass(frozen=True, slots=True)
class ImageRules:
    """Refuses files that are not images, are damaged, are too small or have too many pixels. Needs Pillow.

    The content must be readable twice: bytes, a path, a file that can seek, or an upload. The header is checked first.
    Then a thread decodes the first frame.

    Args:
        min_width: The smallest displayed width in pixels, at least 1.
        min_height: The smallest displayed height in pixels, at least 1.
        max_pixels: The largest number of pixels, width times height, at least 1. Decoding takes about 4 bytes for each.
        formats: The allowed formats, by their names in Pillow. A format that the installed Pillow lacks is refused.
        animated: False refuses images with several frames, such as animated GIFs.

    Raises:
        InvalidArgumentException: A number is below 1.

    Example:
        >>> FileValidator(max_file_size=10_000_000, image=ImageRules(min_width=200, min_height=200))
    """

    min_width: int = 1
    min_height: int = 1
    max_pixels: int = 50_000_000
    formats: Collection[str] = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
    animated: bool = True

    def __post_init__(self) -> None:
        if min(self.min_width, self.min_height, self.max_pixels) < 1:
            raise InvalidArgumentException("min_width, min_height and max_pixels are at least 1")
        object.__setattr__(self, "formats", tuple(name.upper() for name in self.formats))

    async def check(self, content: Content) -> None:
        """Decode the content and check the rules. The content can be read again afterwards.

        Args:
            content: The content.

        Raises:
            InvalidFileTypeException: The content breaks a rule.
            InvalidArgumentException: The content can be read only once.
            ImportError: Pillow is missing. The message names the extra to install.
        """
        if not content.replayable:
            raise InvalidArgumentException(
                "an image is decoded before it is stored, so its content must be readable twice: a file, not a stream"
            )
        with SpooledTemporaryFile(_IN_MEMORY) as file:
            async for chunk in content:
                await offload(file.write, chunk)
            self._check_size(await _size_of(file))
            is_animated = await offload(_decode, file, self.formats)
        if is_animated and not self.animated:
            raise InvalidFileTypeException(
                "the image is animated; only still images are allowed", rule="image_animated"
            )

    def _check_size(self, size: ImageSize | None) -> None:
        if size is None:
            raise InvalidFileTypeException("the content is not an image of a known format", rule="image_format")
        if size.width < self.min_width or size.height < self.min_height:
            wanted = f"{self.min_width} by {self.min_height}"
            raise InvalidFileTypeException(
                f"{size.width} by {size.height} pixels are less than the {wanted} required", rule="image_too_small"
            )
        if size.width * size.height > self.max_pixels:
            raise InvalidFileTypeException(
                f"{size.width} by {size.height} pixels are more than the {self.max_pixels} allowed",
                rule="image_too_large",
            )


async def _size_of(file: IO[bytes]) -> ImageSize | None:
    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    async def fetch(offset: int, length: int) -> bytes:
        return await offload(read, offset, length)

    try:
        return await probe_image(fetch)
    except InvalidArgumentException as error:
        raise InvalidFileTypeException(f"the image is damaged: {error.reason}", rule="image_damaged") from error


def _decode(file: IO[bytes], formats: Collection[str]) -> bool:
    """Decode the first frame. Return True if the image has more frames."""
    pillow = _import_pillow()
    pillow.init()
    known = [name for name in formats if name in pillow.OPEN]
    try:
        file.seek(0)
        with pillow.open(file, formats=known) as image:
            image.load()
            return bool(getattr(image, "is_animated", False))
    except Exception as error:
        told = "" if isinstance(error, pillow.UnidentifiedImageError) else f": {error}"  # that one names our own file
        reason = f"the image cannot be decoded as {', '.join(known)}{told}"
        raise InvalidFileTypeException(reason, rule=_failed_rule(file, known)) from error


def _failed_rule(file: IO[bytes], formats: Collection[str]) -> ImageRefusal:
    """Return the rule that refuses an image which Pillow cannot decode: its format, or damage."""
    file.seek(0)
    allowed = {READABLE.get(name.lower()) for name in formats}
    return "image_damaged" if sniff(file.read(_HEAD)) in allowed - {None} else "image_format"


def _import_pillow() -> Any:
    try:
        return import_module("PIL.Image")
    except ImportError as error:
        raise ImportError('this needs Pillow: run  pip install "sqlalchemy-async-storages[images]"') from error
