"""The sizes of variants, as numbers; that engines make them so is in `tests/unit/imaging`."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from async_storages.images.geometry import MAX_SIDE, fitted, lying

SIDES = st.integers(1, 70_000)
WANTED = st.integers(1, MAX_SIDE)
SIZES = st.tuples(SIDES, SIDES)
FOCUSES = st.tuples(st.floats(0, 1), st.floats(0, 1))

TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Ways in which Pillow shows an image of each EXIF orientation."""


@pytest.mark.parametrize(
    ("original", "wanted", "size"),
    [
        ((4000, 3000), (800, None), (800, 600)),
        ((4000, 3000), (None, 600), (800, 600)),
        ((4000, 3000), (800, 800), (800, 600)),
        ((3000, 4000), (800, 800), (600, 800)),
        ((400, 300), (800, 800), (400, 300)),
        ((400, 300), (None, None), (400, 300)),
        ((3, 2), (2, 2), (2, 1)),
        ((4, 3), (2, 2), (2, 2)),  # 1.5 is rounded up
        ((10_000, 1), (100, 100), (100, 1)),
        ((65_500, 10), (None, None), (MAX_SIDE, 3)),
        ((65_500, 10), (None, 200), (MAX_SIDE, 3)),
    ],
)
def test_inside_is_at_most_so_large_and_never_enlarged(original, wanted, size):
    plan = fitted(original, wanted, "inside")
    assert (plan.size, plan.canvas, plan.box) == (size, size, (0, 0, *original))


@given(SIZES, WANTED, WANTED)
def test_inside_keeps_the_proportions_to_half_a_pixel(original, width, height):
    across, down = fitted(original, (width, height), "inside").size
    scale = min(Fraction(width, original[0]), Fraction(height, original[1]), Fraction(1))
    assert across <= min(width, original[0])
    assert down <= min(height, original[1])
    for side, full in ((across, original[0]), (down, original[1])):
        assert side == 1 or abs(side - full * scale) <= Fraction(1, 2)


@given(SIZES, WANTED, WANTED)
def test_contain_shows_the_whole_image_in_the_middle(original, width, height):
    plan = fitted(original, (width, height), "contain")
    assert plan.canvas == (width, height)
    assert plan.size[0] == width or plan.size[1] == height
    for place, side, whole in zip(plan.place, plan.size, plan.canvas, strict=True):
        assert 0 <= place <= whole - side - place <= place + 1


@given(SIZES, WANTED, WANTED, FOCUSES)
def test_cover_keeps_a_part_of_the_right_proportions_within_the_image(original, width, height, focus):
    plan = fitted(original, (width, height), "cover", focus)
    left, top, right, bottom = plan.box
    assert plan.size == plan.canvas == (width, height)
    assert left >= 0
    assert top >= 0
    assert right <= original[0] + 1e-6
    assert bottom <= original[1] + 1e-6
    assert (right - left) * height == pytest.approx((bottom - top) * width)
    assert (left, right) == (0, original[0]) or (top, bottom) == (0, original[1])


@pytest.mark.parametrize(
    ("focus", "box"),
    [
        ((0.5, 0.5), (100, 0, 200, 100)),
        ((0, 0), (0, 0, 100, 100)),
        ((1, 0), (200, 0, 300, 100)),
        ((0.4, 1), (70, 0, 170, 100)),
    ],
)
def test_the_focus_is_in_the_middle_where_the_edges_let_it(focus, box):
    assert fitted((300, 100), (50, 50), "cover", focus).box == pytest.approx(box)


def test_fill_takes_all_of_the_image():
    plan = fitted((300, 100), (7, 9), "fill")
    assert (plan.box, plan.size, plan.canvas) == ((0, 0, 300, 100), (7, 9), (7, 9))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_of_the_upright_image_is_found_in_the_stored_one(orientation):
    stored = Image.frombytes("L", (7, 5), bytes(range(35)))
    turn = TURNS[orientation]
    shown = stored if turn is None else stored.transpose(turn)
    box = lying((1, 2, 3, 5), shown.size, orientation)
    part = stored.crop(tuple(map(int, box)))
    assert (part if turn is None else part.transpose(turn)).tobytes() == shown.crop((1, 2, 3, 5)).tobytes()
