"""The engine that uses Pillow. It needs the extra `images`. Only the worker processes import Pillow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from async_storages.images.recipes import Variant
from async_storages.imaging.engines import Pixels
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import Original

__all__ = ["PillowEngine"]


@dataclass(frozen=True, slots=True)
class PillowEngine:
    """Makes images with Pillow, and converts colours with its littlecms.

    Example:
        >>> pool = ImagePool(engine=PillowEngine())
    """

    def make(self, original: Original, target: Path, recipe: Variant, limits: ImageLimits) -> None:
        """Make a variant: see `ImageEngine.make`."""
        from async_storages.imaging import pillow_images  # noqa: PLC0415 - only workers load the library

        pillow_images.make(original, target, recipe, limits)

    def make_many(self, original: Original, wanted: Sequence[tuple[Path, Variant]], limits: ImageLimits) -> None:
        """Make several variants of one original, and decode it once: see `ImagePool.make_many`."""
        from async_storages.imaging import pillow_images  # noqa: PLC0415 - only workers load the library

        pillow_images.make_many(original, wanted, limits)

    def shrink(self, original: Original, side: int, limits: ImageLimits) -> Pixels:
        """Return the pixels of a small image: see `ImageEngine.shrink`."""
        from async_storages.imaging import pillow_images  # noqa: PLC0415 - only workers load the library

        return pillow_images.shrink(original, side, limits)
