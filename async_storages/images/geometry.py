"""The sizes of variants: which part becomes how large, and where it stands; the same for all engines."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["MAX_SIDE", "Box", "Fit", "Plan", "fitted", "lying"]

MAX_SIDE = 16_383
"""Pixels of the longest side that a variant may have: more than WebP cannot hold, and all others can."""

type Fit = Literal["contain", "cover", "fill", "inside"]
type Box = tuple[float, float, float, float]
"""A part of an image: its left, upper, right and lower edge in pixels."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps from an upright image to its variant.

    Attributes:
        box: The part that is kept.
        size: Pixels across and down that it becomes.
        canvas: Pixels across and down of the variant; larger than `size` only with ``contain``.
    """

    box: Box
    size: tuple[int, int]
    canvas: tuple[int, int]

    @property
    def place(self) -> tuple[int, int]:
        """Pixels to the left of the picture and above it."""
        return (self.canvas[0] - self.size[0]) // 2, (self.canvas[1] - self.size[1]) // 2


def fitted(
    original: tuple[int, int], wanted: tuple[int | None, int | None], fit: Fit, focus: tuple[float, float] = (0.5, 0.5)
) -> Plan:
    """The plan for an image of a size, as displayed.

    Args:
        original: Pixels across and down of the upright image.
        wanted: Pixels across and down; None only with ``inside``.
        fit: The way in which the one becomes the other.
        focus: The point that ``cover`` keeps, each from 0 to 1.
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
    """The size with the proportions of an image that touches the limits; halves are rounded up."""
    (across, down), (width, height) = original, limits
    if across * height >= width * down:  # the width is what limits
        return width, max(1, (2 * down * width + across) // (2 * across))
    return max(1, (2 * across * height + down) // (2 * down)), height


def _covering(original: tuple[int, int], wanted: tuple[int, int], focus: tuple[float, float]) -> Box:
    """The largest part with the proportions that are wanted, as near to the focus as the edges let it."""
    (across, down), (width, height) = original, wanted
    if across * height >= width * down:
        kept = down * width / height
        left = min(max(focus[0] * across - kept / 2, 0.0), across - kept)
        return left, 0.0, left + kept, float(down)
    kept = across * height / width
    top = min(max(focus[1] * down - kept / 2, 0.0), down - kept)
    return 0.0, top, float(across), top + kept


def lying(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """The same part of the image as it is stored, before its EXIF orientation is applied.

    Args:
        box: The part of the upright image.
        size: Pixels across and down of the upright image.
        orientation: EXIF orientation, 1 to 8.
    """
    left, top, right, bottom = box
    width, height = size
    if orientation in {2, 3, 6, 7}:  # the first column shown is the last column, or row, that is stored
        left, right = width - right, width - left
    if orientation in {3, 4, 7, 8}:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)
