"""The contract of engines, which make images, and of previewers, which make images of what is none.

Both run in the workers of a pool and may block. They are dataclasses whose fields JSON can hold, in a module that the
workers can import: a worker makes its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from async_storages.images.recipes import Variant
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import Original

__all__ = ["ImageEngine", "MakesMany", "Pixels", "Previewer"]


@dataclass(frozen=True, slots=True)
class Pixels:
    """A small upright image.

    Attributes:
        width: Pixels across.
        height: Pixels down.
        rgba: Four bytes for each pixel, row by row; the colours are not multiplied by the alpha.
    """

    width: int
    height: int
    rgba: bytes


class ImageEngine(Protocol):
    """An object that makes images. The header of an original was found to keep the limits."""

    def make(self, original: Original, target: Path, recipe: Variant, limits: ImageLimits) -> None:
        """Make a variant: of exactly ``recipe.size_of(original.size)``, upright, in sRGB.

        Args:
            original: The image that it is made of.
            target: The file that is written.
            recipe: The variant.
            limits: What the pixels and the frames must keep to.

        Raises:
            InvalidFileTypeException: The original is damaged, or does not keep to the limits.
            ImageProcessingException: The variant cannot be written.
            ImportError: The engine's library is missing; it names the extra.
        """
        ...

    def shrink(self, original: Original, side: int, limits: ImageLimits) -> Pixels:
        """The pixels of an image no larger than `side` in both directions; errors are those of `make`."""
        ...


@runtime_checkable
class MakesMany(Protocol):
    """A power that an engine may have: it decodes an original once for several variants of it."""

    def make_many(self, original: Original, wanted: Sequence[tuple[Path, Variant]], limits: ImageLimits) -> None:
        """Make several variants, each as `ImageEngine.make` would; pixels may differ a little from its.

        Args:
            original: The image that they are made of.
            wanted: The file that is written, and the variant, for each.
            limits: What the pixels and the frames must keep to.
        """
        ...


class Previewer(Protocol):
    """An object that makes an image of a file that is none, such as a video."""

    def preview(self, source: Path, target: Path, limits: ImageLimits) -> None:
        """Make an image, a PNG or a JPEG.

        Args:
            source: The file that it is made of.
            target: The file that is written.
            limits: What the image must keep to.

        Raises:
            InvalidFileTypeException: The file is no such thing, or damaged.
            ImageProcessingException: No image can be made of it.
            ImportError: The previewer's library is missing; it names the extra.
        """
        ...
