"""The engine that uses libvips. It needs the extra `vips`. Only the worker processes import it."""

from dataclasses import dataclass
from pathlib import Path

from async_storages.images.recipes import Variant
from async_storages.imaging.engines import Pixels
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import Original

__all__ = ["VipsEngine"]


@dataclass(frozen=True, slots=True)
class VipsEngine:
    """Makes images with libvips, through pyvips.

    Example:
        >>> pool = ImagePool(engine=VipsEngine())
    """

    def make(self, original: Original, target: Path, recipe: Variant, limits: ImageLimits) -> None:
        """Make a variant: see `ImageEngine.make`."""
        from async_storages.imaging import vips_images  # noqa: PLC0415 - only workers load the library

        vips_images.make(original, target, recipe, limits)

    def shrink(self, original: Original, side: int, limits: ImageLimits) -> Pixels:
        """Return the pixels of a small image: see `ImageEngine.shrink`."""
        from async_storages.imaging import vips_images  # noqa: PLC0415 - only workers load the library

        return vips_images.shrink(original, side, limits)
