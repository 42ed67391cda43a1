"""ThumbHashes, against what the reference implementation (npm's thumbhash 0.1.1) says of the same pixels."""

import pytest

from async_storages import InvalidArgumentException
from async_storages.images.thumbhash import thumbhash


def pixels(width, height, alpha=255):
    """A gradient, not the same in both directions."""
    return bytes(
        value
        for y in range(height)
        for x in range(width)
        for value in (
            x * 200 // width,
            (y * 150 + x * 40) // height % 256,
            (x * y) % 251,
            min(255, alpha + x * x + 3 * y),
        )
    )


SAID = {
    "landscape": (32, 20, 255, "WPgNHI5gdnhyiHiGeIbjmh/3iA=="),
    "portrait": (11, 30, 255, "lBgOGxJwgnh4d4d4rB8K6Ic="),
    "square": (32, 32, 255, "2AcOHxBgdndyiIiGiGiId4iHF3/7cH8I"),
    "transparent": (24, 18, 60, "mRiKHIw7gIegepZ3WM73kW8HhniHeIh3CA=="),
    "large": (100, 75, 255, "WvcJLZBwdndzd3d3d3d3d5CECfeH"),
}


@pytest.mark.parametrize(("width", "height", "alpha", "said"), SAID.values(), ids=SAID)
def test_a_hash_is_that_of_the_reference(width, height, alpha, said):
    assert thumbhash(width, height, pixels(width, height, alpha)) == said


def test_an_even_area_has_no_detail():
    assert thumbhash(8, 8, bytes([200, 100, 50, 255] * 64)) == "HcsCBwAAAAAAAAAAAAAAAAAAAAAAAAAA"


def test_nothing_to_be_seen():
    assert thumbhash(2, 2, bytes(16)) == "AAiCBQAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="


@pytest.mark.parametrize(("width", "height", "size"), [(101, 1, 404), (0, 1, 0), (2, 2, 15)])
def test_what_is_no_small_image_is_refused(width, height, size):
    with pytest.raises(InvalidArgumentException, match=f"{width} by {height} pixels, at most 100, has {size} bytes"):
        thumbhash(width, height, bytes(size))
