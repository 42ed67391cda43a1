"""The part of an image that has the most detail."""

import random

import pytest

from async_storages.images.detail import detailed_point


def greys(width, height, left=0, top=0, right=0, bottom=0):
    """An even image with noise in a part of it."""
    noise = random.Random(1)
    return bytes(
        noise.randrange(256) if left <= x < right and top <= y < bottom else 99
        for y in range(height)
        for x in range(width)
    )


@pytest.mark.parametrize(
    ("size", "part", "wanted", "point"),
    [
        ((64, 16), (40, 0, 56, 16), (1, 1), (0.75, 0.5)),
        ((64, 16), (0, 0, 16, 16), (1, 1), (0.125, 0.5)),
        ((16, 64), (0, 48, 16, 64), (200, 200), (0.5, 0.875)),
        ((64, 16), (0, 0, 0, 0), (1, 1), (0.5, 0.5)),
        ((64, 16), (40, 0, 56, 16), (4, 1), (0.5, 0.5)),
        ((1, 64), (0, 0, 1, 8), (1, 8), (0.5, 0.0625)),
        ((1, 1), (0, 0, 1, 1), (7, 9), (0.5, 0.5)),
        ((64, 1), (0, 0, 0, 0), (1, 900), (0.5, 0.5)),
    ],
)
def test_the_part_with_the_noise_is_found(size, part, wanted, point):
    assert detailed_point(*size, greys(*size, *part), wanted) == pytest.approx(point, abs=0.02)
