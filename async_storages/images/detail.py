"""The part of an image with the most detail, for crops: the part whose greys have the highest entropy (Shannon)."""

from collections import Counter
from math import log2

__all__ = ["LARGEST", "detailed_point"]

LARGEST = 64
"""The longest side of the inspected image in pixels."""

_SHADES = 32


def detailed_point(width: int, height: int, greys: bytes, wanted: tuple[int, int]) -> tuple[float, float]:
    """Return the middle of the part with the most detail. The part has the proportions of the crop.

    Args:
        width: The width in pixels.
        height: The height in pixels.
        greys: One byte for each pixel, row by row.
        wanted: Width and height of the crop. Only their proportion counts.

    Returns:
        A point, each number from 0 to 1. The middle of the image if all parts have equal detail.
    """
    if width * wanted[1] >= height * wanted[0]:  # it slides to the right
        lines = [greys[x::width] for x in range(width)]
        kept = max(1, height * wanted[0] // wanted[1])
        return _middle(lines, kept), 0.5
    lines = [greys[y * width : (y + 1) * width] for y in range(height)]
    kept = max(1, width * wanted[1] // wanted[0])
    return 0.5, _middle(lines, kept)


def _middle(lines: list[bytes], kept: int) -> float:
    """Return the middle of the run of lines with the most detail, from 0 to 1. Of equal runs, the most central wins."""
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
