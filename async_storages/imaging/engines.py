"""The interfaces of engines, which make image variants, and of previewers, which make images of other files.

Both run in the worker processes of a pool and may block. They must be dataclasses with fields that JSON can hold, in a
module that the workers can import. Each worker creates its own instance.
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
        width: The width in pixels.
        height: The height in pixels.
        rgba: Four bytes for each pixel, row by row. The colours are not multiplied by the alpha.
    """

    width: int
    height: int
    rgba: bytes


class ImageEngine(Protocol):
    """An object that makes image variants. The pool has checked the header of an original against the limits."""

    def make(self, original: Original, target: Path, recipe: Variant, limits: ImageLimits) -> None:
        """Make a variant, upright and in sRGB. Its size is exactly ``recipe.size_of(original.size)``.

        Args:
            original: The original.
            target: The file to write.
            recipe: The recipe of the variant.
            limits: The limits for pixels and frames.

        Raises:
            InvalidFileTypeException: The original is damaged, or exceeds the limits.
            ImageProcessingException: The variant cannot be written.
            ImportError: The engine's library is missing. The message names the extra to install.
        """
        ...

    def shrink(self, original: Original, side: int, limits: ImageLimits) -> Pixels:
        """Return the pixels of the image, scaled down to at most `side` in both directions. Raises as `make` does."""
        ...


@runtime_checkable
class MakesMany(Protocol):
    """A capability that an engine may have: it decodes an original once for several variants."""

    def make_many(self, original: Original, wanted: Sequence[tuple[Path, Variant]], limits: ImageLimits) -> None:
        """Make several variants. Their pixels may differ slightly from those of `ImageEngine.make`.

        Args:
            original: The original.
            wanted: For each variant, the file to write and the recipe.
            limits: The limits for pixels and frames.
        """
        ...


class Previewer(Protocol):
    """An object that makes an image of a file that is not an image, for example a video."""

    def preview(self, source: Path, target: Path, limits: ImageLimits) -> None:
        """Make an image, a PNG or a JPEG.

        Args:
            source: The file to show.
            target: The image file to write.
            limits: The limits for the image.

        Raises:
            InvalidFileTypeException: The file is damaged, or of a type that the previewer does not support.
            ImageProcessingException: The previewer cannot make an image of the file.
            ImportError: The previewer's library is missing. The message names the extra to install.
        """
        ...
