"""ThumbHashes: a blurred image in about 25 bytes, with its proportions and its transparency.

This module encodes the format of https://evanw.github.io/thumbhash/. A BlurHash has no proportions and no transparency.
The packages on PyPI are slow and unmaintained, or need a compiler.
"""

from base64 import b64encode
from collections.abc import Sequence
from itertools import batched
from math import cos, floor, pi
from typing import NamedTuple

from async_storages.errors import InvalidArgumentException

__all__ = ["LARGEST", "thumbhash"]

LARGEST = 32
"""The longest side in pixels that makes a difference: the finest detail of a hash is a seventh of it."""

_MOST = 100
_NOISE = 1e-6  # far below what a hash can hold: an even area, whose differences are errors of rounding


class _Channel(NamedTuple):
    """A channel as a sum of cosines: the mean, the largest other term, and the other terms relative to it, 0 to 1."""

    mean: float
    scale: float
    parts: list[float]


def thumbhash(width: int, height: int, rgba: bytes) -> str:
    """Return the ThumbHash of an image, as base64.

    Args:
        width: The width in pixels, up to 100.
        height: The height in pixels, up to 100.
        rgba: Four bytes for each pixel, row by row.

    Raises:
        InvalidArgumentException: The image is too large, or `rgba` has the wrong length.

    Example:
        >>> thumbhash(8, 8, bytes([255, 0, 0, 255] * 64))
        '1fsDBwAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """
    if not (0 < width <= _MOST and 0 < height <= _MOST and len(rgba) == 4 * width * height):
        raise InvalidArgumentException(
            f"no image of {width} by {height} pixels, at most {_MOST}, has {len(rgba)} bytes"
        )
    alpha = [value / 255 for value in rgba[3::4]]
    has_alpha = sum(alpha) < width * height
    limit = 5 if has_alpha else 7
    across, down = (max(1, _round(limit * side / max(width, height))) for side in (width, height))
    light, yellow, red = _channels(rgba, alpha)
    size = width, height
    coded = [
        _coded(light, size, max(3, across), max(3, down)),
        _coded(yellow, size, 3, 3),
        _coded(red, size, 3, 3),
        *([_coded(alpha, size, 5, 5)] if has_alpha else []),
    ]
    header = _header(coded, down if width > height else across, is_landscape=width > height)
    return b64encode(header + _nibbles([part for channel in coded for part in channel.parts])).decode()


def _channels(rgba: bytes, alpha: list[float]) -> tuple[list[float], list[float], list[float]]:
    """Return lightness, yellow against blue, and red against green. Transparent pixels get the mean colour."""
    total = sum(alpha)
    colours = []
    for channel in range(3):
        seen = [opacity / 255 * value for opacity, value in zip(alpha, rgba[channel::4], strict=True)]
        mean = sum(seen) / total if total else 0.0
        colours.append([mean * (1 - opacity) + value for opacity, value in zip(alpha, seen, strict=True)])
    light, yellow, red = [], [], []
    for r, g, b in zip(*colours, strict=True):
        light.append((r + g + b) / 3)
        yellow.append((r + g) / 2 - b)
        red.append(r - g)
    return light, yellow, red


def _coded(channel: Sequence[float], size: tuple[int, int], across: int, down: int) -> _Channel:
    """Return the upper left triangle of the cosine transform, columns first."""
    width, height = size
    waves = [[cos(pi / width * n * (x + 0.5)) for x in range(width)] for n in range(across)]
    rows = [
        [sum(value * wave for value, wave in zip(row, waved, strict=True)) for waved in waves]
        for row in batched(channel, width)
    ]
    found = []
    for m in range(down):
        wave = [cos(pi / height * m * (y + 0.5)) for y in range(height)]
        count = -(-across * (down - m) // down)
        found += [
            sum(row[n] * factor for row, factor in zip(rows, wave, strict=True)) / (width * height)
            for n in range(count)
        ]
    mean, *others = found
    scale = max(map(abs, others), default=0.0)
    if scale < _NOISE:
        return _Channel(mean, 0.0, [0.0] * len(others))
    return _Channel(mean, scale, [0.5 + 0.5 / scale * value for value in others])


def _header(coded: list[_Channel], shorter: int, *, is_landscape: bool) -> bytes:
    light, yellow, red, *alpha = coded
    first = (
        _round(63 * light.mean)
        | _round(31.5 + 31.5 * yellow.mean) << 6
        | _round(31.5 + 31.5 * red.mean) << 12
        | _round(31 * light.scale) << 18
        | bool(alpha) << 23
    )
    second = shorter | _round(63 * yellow.scale) << 3 | _round(63 * red.scale) << 9 | is_landscape << 15
    header = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    return header + bytes(_round(15 * channel.mean) | _round(15 * channel.scale) << 4 for channel in alpha)


def _nibbles(parts: list[float]) -> bytes:
    halves = [_round(15 * part) for part in parts]
    return bytes(pair[0] | sum(pair[1:]) << 4 for pair in batched(halves, 2))


def _round(value: float) -> int:
    """Round to the nearest whole number, halves upwards, as JavaScript does."""
    return floor(value + 0.5)
