"""`ImageLimits`: limits for making images."""

from collections.abc import Collection
from dataclasses import dataclass

from async_storages.errors import InvalidArgumentException, InvalidFileTypeException
from async_storages.images.formats import READABLE

__all__ = ["ImageLimits"]

_FRAMES_FACTOR = 4  # frames are decoded one after the other, so that they cost time but no memory


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits for each image that a pool makes.

    Args:
        formats: The allowed formats of originals, detected from the content: avif, bmp, gif, jpeg, png, tiff, webp.
        max_pixels: The largest number of pixels, width times height, of an original and of a variant, at least 1. All
            frames of an animation together may have four times as many.
        max_frames: The largest number of frames of an animation, and the last page that a recipe may use, at least 1.
        memory: The address space of a worker process in bytes, at least 256 MiB. Systems without such a limit ignore
            it.
        timeout: The time for one image in seconds, above 0.

    Raises:
        InvalidArgumentException: A limit is out of range, or a format is unknown.

    Example:
        >>> ImageLimits(formats=["jpeg", "tiff"], timeout=10).formats
        ('jpeg', 'tiff')
    """

    formats: Collection[str] = ("jpeg", "png", "webp", "gif", "avif")
    max_pixels: int = 50_000_000
    max_frames: int = 500
    memory: int = 1 << 30
    timeout: float = 30.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "formats", tuple(name.lower() for name in self.formats))
        if unknown := [name for name in self.formats if name not in READABLE]:
            raise InvalidArgumentException(f"formats are among {', '.join(READABLE)}; {', '.join(unknown)} is not")
        if min(self.max_pixels, self.max_frames) < 1:
            raise InvalidArgumentException(
                f"max_pixels and max_frames are at least 1, not {self.max_pixels} and {self.max_frames}"
            )
        if self.memory < 256 << 20:
            raise InvalidArgumentException(f"memory is at least 256 MiB, {256 << 20}: not {self.memory}")
        if not self.timeout > 0:
            raise InvalidArgumentException(f"timeout is above 0 seconds, not {self.timeout}")

    def check_pixels(self, size: tuple[int, int], what: str = "the image") -> None:
        """Check the number of pixels.

        Args:
            size: Width and height in pixels.
            what: The subject of the error message.

        Raises:
            InvalidFileTypeException: There are more than `max_pixels`.
        """
        if size[0] * size[1] > self.max_pixels:
            raise InvalidFileTypeException(
                f"{what} has {size[0]} by {size[1]} pixels, more than the {self.max_pixels} allowed",
                rule="image_too_large",
            )

    def check_frames(self, frames: int, size: tuple[int, int]) -> None:
        """Check the number of frames to decode, and the number of their pixels.

        Args:
            frames: The number of frames.
            size: Width and height of each frame in pixels.

        Raises:
            InvalidFileTypeException: There are more than `max_frames`, or more pixels than four times `max_pixels`.
        """
        if frames > self.max_frames:
            raise InvalidFileTypeException(
                f"the image has {frames} frames, more than the {self.max_frames} allowed", rule="image_too_large"
            )
        allowed = _FRAMES_FACTOR * self.max_pixels
        if frames > 1 and frames * size[0] * size[1] > allowed:
            raise InvalidFileTypeException(
                f"{frames} frames of {size[0]} by {size[1]} pixels are more than the {allowed} pixels allowed",
                rule="image_too_large",
            )
