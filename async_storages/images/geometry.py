"""The geometry of variants, for all engines: the part of the original, its new size and its place."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["MAX_SIDE", "Box", "Fit", "Plan", "fitted", "lying"]

MAX_SIDE = 16_383
"""The longest side of a variant in pixels. It is the limit of WebP; other formats allow more."""

type Fit = Literal["contain", "cover", "fill", "inside"]
type Box = tuple[float, float, float, float]
"""A part of an image: its left, upper, right and lower edge in pixels."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps from an upright image to its variant.

    Attributes:
        box: The part of the original to keep.
        size: Width and height in pixels to which this part is scaled.
        canvas: Width and height of the variant in pixels. It is larger than `size` only with ``contain``.
    """

    box: Box
    size: tuple[int, int]
    canvas: tuple[int, int]

    @property
    def place(self) -> tuple[int, int]:
        """The empty pixels left of the image and above it."""
        return (self.canvas[0] - self.size[0]) // 2, (self.canvas[1] - self.size[1]) // 2


def fitted(
    original: tuple[int, int], wanted: tuple[int | None, int | None], fit: Fit, focus: tuple[float, float] = (0.5, 0.5)
) -> Plan:
    """Return the plan for an image.

    Args:
        original: Displayed width and height of the original, in pixels.
        wanted: Width and height of the variant, in pixels. None is allowed only with ``inside``.
        fit: See `Variant`.
        focus: The point that ``cover`` keeps, each number from 0 to 1.
    """
    width, height = wanted[0] or MAX_SIDE, wanted[1] or MAX_SIDE
    whole = (0.0, 0.0, float(original[0]), float(original[1]))
    match fit:
        case "fill":
            return Plan(whole, (width, height), (width, height))
        case "cover":
            return Plan(_covering(original, (width, height), focus), (width, height), (width, height))
        case "contain":
            return Plan(whole, _within(original, (width, height)), (width, height))
        case "inside":
            is_smaller = original[0] <= width and original[1] <= height
            size = original if is_smaller else _within(original, (width, height))
            return Plan(whole, size, size)


def _within(original: tuple[int, int], limits: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size within the limits that has the proportions of the image. It rounds halves up."""
    (across, down), (width, height) = original, limits
    if across * height >= width * down:  # the width is what limits
        return width, max(1, (2 * down * width + across) // (2 * across))
    return max(1, (2 * across * height + down) // (2 * down)), height


def _covering(original: tuple[int, int], wanted: tuple[int, int], focus: tuple[float, float]) -> Box:
    """Return the largest part with the wanted proportions, as near to the focus as the edges allow."""
    (across, down), (width, height) = original, wanted
    if across * height >= width * down:
        kept = down * width / height
        left = min(max(focus[0] * across - kept / 2, 0.0), across - kept)
        return left, 0.0, left + kept, float(down)
    kept = across * height / width
    top = min(max(focus[1] * down - kept / 2, 0.0), down - kept)
    return 0.0, top, float(across), top + kept


def lying(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """Return the same part in the coordinates of the stored image, before its EXIF orientation is applied.

    Args:
        box: The part of the displayed image.
        size: Width and height of the displayed image, in pixels.
        orientation: The EXIF orientation, 1 to 8.
    """
    left, top, right, bottom = box
    width, height = size
    if orientation in {2, 3, 6, 7}:  # the first column shown is the last column, or row, that is stored
        left, right = width - right, width - left
    if orientation in {3, 4, 7, 8}:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)
