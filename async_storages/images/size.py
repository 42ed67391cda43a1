"""The result of a probe: the size of an image."""

from dataclasses import dataclass

from async_storages.images.window import broken

__all__ = ["ImageSize", "image_size"]


@dataclass(frozen=True, slots=True)
class ImageSize:
    """The size of an image, as it is shown and as it is stored.

    Attributes:
        width: Pixels across, as displayed.
        height: Pixels down, as displayed.
        orientation: EXIF orientation, 1 to 8: 1 is upright, 5 to 8 are stored lying on their side.

    Example:
        >>> ImageSize(3000, 4000, orientation=6).raw_dimensions
        (4000, 3000)
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def dimensions(self) -> tuple[int, int]:
        """Width and height as displayed."""
        return self.width, self.height

    @property
    def raw_dimensions(self) -> tuple[int, int]:
        """Width and height as stored, before the orientation is applied."""
        return _turned(self.width, self.height, self.orientation)


def image_size(width: int, height: int, orientation: int = 1) -> ImageSize:
    """The size of an image that is stored with these dimensions.

    Raises:
        InvalidArgumentException: One of the sides has no pixels.
    """
    if width <= 0 or height <= 0:
        raise broken(f"an image of {width} x {height} pixels")
    return ImageSize(*_turned(width, height, orientation), orientation)


def _turned(width: int, height: int, orientation: int) -> tuple[int, int]:
    return (height, width) if orientation >= 5 else (width, height)
