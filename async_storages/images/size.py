"""The result of a probe: the size of an image."""

from dataclasses import dataclass

from async_storages.images.window import broken

__all__ = ["ImageSize", "image_size"]


@dataclass(frozen=True, slots=True)
class ImageSize:
    """The size of an image, as displayed and as stored.

    Attributes:
        width: The displayed width in pixels.
        height: The displayed height in pixels.
        orientation: The EXIF orientation, 1 to 8. 1 is upright. With 5 to 8, stored width and height are exchanged.

    Example:
        >>> ImageSize(3000, 4000, orientation=6).raw_dimensions
        (4000, 3000)
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def dimensions(self) -> tuple[int, int]:
        """Displayed width and height."""
        return self.width, self.height

    @property
    def raw_dimensions(self) -> tuple[int, int]:
        """Stored width and height, before the orientation is applied."""
        return _turned(self.width, self.height, self.orientation)


def image_size(width: int, height: int, orientation: int = 1) -> ImageSize:
    """Return the size of an image with these stored dimensions.

    Args:
        width: The stored width in pixels.
        height: The stored height in pixels.
        orientation: The EXIF orientation, 1 to 8.

    Raises:
        InvalidArgumentException: A side has no pixels.
    """
    if width <= 0 or height <= 0:
        raise broken(f"an image of {width} x {height} pixels")
    return ImageSize(*_turned(width, height, orientation), orientation)


def _turned(width: int, height: int, orientation: int) -> tuple[int, int]:
    return (height, width) if orientation >= 5 else (width, height)
