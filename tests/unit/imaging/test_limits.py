"""Limits of images: what they are, and what they refuse."""

import pytest

from async_storages import InvalidArgumentException, InvalidFileTypeException
from async_storages.imaging.limits import ImageLimits

REFUSED = {
    "an unknown format": ({"formats": ["jpeg", "SVG"]}, "svg is not"),
    "no pixels": ({"max_pixels": 0}, "at least 1, not 0 and 500"),
    "no frames": ({"max_frames": 0}, "at least 1"),
    "too little memory": ({"memory": 1 << 20}, "memory is at least 256 MiB, 268435456: not 1048576"),
    "no time": ({"timeout": 0}, "timeout is above 0 seconds, not 0"),
    "no number": ({"timeout": float("nan")}, "timeout is above 0"),
}


@pytest.mark.parametrize(("limits", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_limit_that_cannot_be_is_refused(limits, reason):
    with pytest.raises(InvalidArgumentException, match=reason):
        ImageLimits(**limits)


def test_formats_have_the_names_of_pillow_too():
    assert ImageLimits(formats={"JPEG"}).formats == ("jpeg",)


def test_pixels_and_frames():
    limits = ImageLimits(max_pixels=100, max_frames=10)
    limits.check_pixels((10, 10))
    limits.check_frames(4, (10, 10))
    limits.check_frames(1, (100, 100))  # its pixels are checked by themselves
    for check in (
        lambda: limits.check_pixels((101, 1)),
        lambda: limits.check_frames(5, (10, 10)),
        lambda: limits.check_frames(11, (1, 1)),
    ):
        with pytest.raises(InvalidFileTypeException, match="allowed") as caught:
            check()
        assert caught.value.rule == "image_too_large"
