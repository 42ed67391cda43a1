"""The part of an image that has the most detail, for crops: the one whose greys tell the most (Shannon's entropy)."""

from collections import Counter
from math import log2

__all__ = ["LARGEST", "detailed_point"]

LARGEST = 64
"""Pixels of the longest side of the image that is looked at."""

_SHADES = 32


def detailed_point(width: int, height: int, greys: bytes, wanted: tuple[int, int]) -> tuple[float, float]:
    """The middle of the largest part with the proportions that are wanted and the most detail.

    Args:
        width: Pixels across.
        height: Pixels down.
        greys: A byte for each pixel, row by row.
        wanted: Pixels across and down of the crop; only their proportion counts.

    Returns:
        A focal point, each from 0 to 1; the middle where all parts are alike.
    """
    if width * wanted[1] >= height * wanted[0]:  # it slides to the right
        lines = [greys[x::width] for x in range(width)]
        kept = max(1, height * wanted[0] // wanted[1])
        return _middle(lines, kept), 0.5
    lines = [greys[y * width : (y + 1) * width] for y in range(height)]
    kept = max(1, width * wanted[1] // wanted[0])
    return 0.5, _middle(lines, kept)


def _middle(lines: list[bytes], kept: int) -> float:
    """The middle of the run of lines with the most detail, from 0 to 1; of equal ones the most central."""
    kept = min(kept, len(lines))
    shades = [Counter(value * _SHADES // 256 for value in line) for line in lines]
    window = sum(shades[:kept], Counter[int]())
    pixels = kept * len(lines[0])
    centre = (len(lines) - kept) / 2
    best = (-1.0, 0.0, 0)
    for start in range(len(lines) - kept + 1):
        entropy = -sum(count / pixels * log2(count / pixels) for count in window.values() if count)
        best = max(best, (round(entropy, 6), -abs(start - centre), start))
        window.subtract(shades[start])
        window.update(shades[start + kept] if start + kept < len(lines) else ())
    return (best[2] + kept / 2) / len(lines)
