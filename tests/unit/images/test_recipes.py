"""Recipes of variants: what they refuse, what they tell without an image, and digests that never change."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages import InvalidArgumentException, Variant, Variants
from async_storages.images.recipes import Variant as TheVariant
from async_storages.images.size import ImageSize

DIGESTS = {
    "everything at its default": (Variant(), "01e7b720ff566d53"),
    "a width": (Variant(width=800), "828e176ef845c3c5"),
    "a width and WebP": (Variant(width=800, format="webp"), "e575cc2743ba3983"),
    "a width, WebP and a quality": (Variant(width=800, format="webp", quality=82), "b89a560e5171f19f"),
    "cover": (Variant(200, 200, fit="cover"), "9227287f9df8e43d"),
    "cover at a point": (Variant(200, 200, fit="cover", crop=(0, 1)), "f659df812dd694d2"),
    "cover at the detail": (Variant(200, 200, fit="cover", crop="entropy"), "df12193b6f74e50c"),
    "contain": (Variant(200, 100, fit="contain", background="#fff"), "3f57d7bab486a90d"),
    "fill": (Variant(200, 100, fit="fill", sharpen=1), "df7a9e2a83e213b2"),
    "all else": (Variant(height=9, format="avif", strip=False, page=3), "bd4fa6369d0ee3a2"),
    "animated": (Variant(height=9, animated=True), "a1b4a376165f59bc"),
}
"""Keys of files are made of them: one that changes is a variant that nobody finds any more."""


@pytest.mark.parametrize(("recipe", "digest"), DIGESTS.values(), ids=DIGESTS)
def test_a_digest_never_changes(recipe, digest):
    assert recipe.digest == digest


def test_a_digest_is_the_same_in_another_process():
    program = "from async_storages import Variant; print(Variant(200, 200, fit='cover', crop=(0.25, 0.75)).digest)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == Variant(200, 200, fit="cover", crop=(0.25, 0.75)).digest


SAME = {
    "when": (Variant(width=8, when="flush"), Variant(width=8, when="request")),
    "widths": (Variant(width=8), Variant(width=8, widths=(4,))),
    "short colours": (Variant(background="#FFF"), Variant(background="#ffffff")),
    "whole numbers": (Variant(sharpen=1), Variant(sharpen=1.0)),
    "points": (Variant(2, 2, "cover", crop=(0, 1)), Variant(2, 2, "cover", crop=(-0.0, 1.0))),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_recipes_that_make_the_same_bytes_have_one_digest(one, other):
    assert one.digest == other.digest


def test_recipes_that_make_other_bytes_have_other_digests():
    recipes = [recipe for recipe, _ in DIGESTS.values()]
    assert len({recipe.digest for recipe in recipes}) == len(set(recipes)) == len(recipes)


@pytest.mark.parametrize("recipe", [recipe for recipe, _ in DIGESTS.values()])
def test_a_recipe_comes_back_from_its_json(recipe):
    assert Variant.from_json(recipe.to_json()) == recipe
    assert hash(Variant.from_json(recipe.to_json())) == hash(recipe)


@pytest.mark.parametrize("text", ["", "[]", "7", '{"weight":3}', '{"width":"8"}', '{"crop":[1,2,3]}'])
def test_what_is_no_recipe_is_refused(text):
    with pytest.raises(InvalidArgumentException):
        Variant.from_json(text)


REFUSED = {
    "a width of nothing": ({"width": 0}, "width is 1 to 16383 pixels, not 0"),
    "too high": ({"height": 16384}, "height is 1 to 16383 pixels, not 16384"),
    "a fraction": ({"width": 8.5}, "not 8.5"),
    "a truth": ({"width": True}, "not True"),
    "an unknown fit": (
        {"fit": "crop", "width": 1, "height": 1},
        "fit is one of 'contain', 'cover', 'fill', 'inside', not",
    ),
    "cover without a height": ({"fit": "cover", "width": 9}, "fit='cover' needs a width and a height"),
    "an unknown format": ({"format": "gif"}, "format is one of None, 'avif', 'jpeg', 'png', 'webp', not 'gif'"),
    "an unknown moment": ({"when": "later"}, "when is one of 'flush'"),
    "too much quality": ({"quality": 101}, "quality is 1 to 100, not 101"),
    "a quality of PNG": ({"quality": 80, "format": "png"}, "quality has no meaning for format='png'"),
    "a colour by name": ({"background": "white"}, "a colour such as '#ffffff', not 'white'"),
    "a colour that is none": ({"background": "#12345\n"}, "a colour"),
    "widths that are one": ({"widths": 400}, "widths are numbers of 1 to 16383 pixels, not 400"),
    "a further width of nothing": ({"widths": [400, 0]}, "widths are numbers of 1 to 16383 pixels, not [400, 0]"),
    "too sharp": ({"sharpen": 6}, "sharpen is 0 to 5, not 6"),
    "no number": ({"sharpen": float("nan")}, "sharpen is 0 to 5"),
    "a page before the first": ({"page": -1}, "page is a number from 0 on"),
    "a crop of nothing": ({"crop": "entropy"}, "needs fit='cover': nothing is cropped with 'inside'"),
    "an unknown crop": ({"crop": "face", "width": 1, "height": 1, "fit": "cover"}, "or a point such as"),
    "a point outside": ({"crop": (0.5, 1.5), "width": 1, "height": 1, "fit": "cover"}, "each from 0 to 1"),
    "a page of all frames": ({"animated": True, "page": 1}, "page must be 0"),
    "frames of JPEG": ({"animated": True, "format": "jpeg"}, "animated needs format='webp' or None"),
    "no truth": ({"strip": None}, "strip is one of False, True, not None"),
}


@pytest.mark.parametrize(("options", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_with_the_value(options, reason):
    with pytest.raises(InvalidArgumentException) as caught:
        Variant(**options)
    assert reason in str(caught.value)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(AttributeError):
        Variant().width = 3


@pytest.mark.parametrize(
    ("recipe", "content_type", "extension"),
    [
        (Variant(), "image/jpeg", "jpg"),
        (Variant(), "image/png", "png"),
        (Variant(), "image/webp", "webp"),
        (Variant(), "image/gif", "webp"),
        (Variant(), "image/heic", "webp"),
        (Variant(), "application/pdf", "webp"),
        (Variant(animated=True), "image/png", "webp"),
        (Variant(animated=True), "image/jpeg", "jpg"),
        (Variant(format="avif"), "image/jpeg", "avif"),
    ],
)
def test_the_format_follows_from_the_recipe_and_the_original(recipe, content_type, extension):
    assert recipe.format_for(content_type).extension == extension


def test_the_size_is_that_of_the_upright_image():
    assert Variant(width=300).size_of(ImageSize(3000, 4000, orientation=6)) == ImageSize(300, 400)


@given(st.integers(1, 70_000), st.integers(1, 70_000), st.lists(st.integers(1, 16_383), min_size=1))
def test_widths_of_a_srcset_are_distinct_and_rise(width, height, widths):
    original = ImageSize(width, height)
    sizes = [recipe.size_of(original) for recipe in Variant(width=800).at_widths(widths, original)]
    assert len(set(sizes)) == len(sizes)
    assert [size.width for size in sizes] == sorted(size.width for size in sizes)


def test_widths_keep_the_proportions_of_a_recipe_and_all_else():
    square = Variant(200, 100, fit="cover", format="webp", quality=50)
    assert square.at_widths([401, 100]) == (
        Variant(100, 50, fit="cover", format="webp", quality=50),
        Variant(401, 201, fit="cover", format="webp", quality=50),
    )


def test_widths_beyond_the_original_are_one():
    recipes = Variant(width=800).at_widths([400, 2000, 3000], ImageSize(1000, 500))
    assert [recipe.width for recipe in recipes] == [400, 2000]


@pytest.mark.parametrize("width", [0, "8", 16_384])
def test_a_width_that_is_none_is_refused(width):
    for recipe in (Variant(width=8), Variant(8, 8, fit="cover")):
        with pytest.raises(InvalidArgumentException, match="width is 1 to 16383 pixels"):
            recipe.at_widths([width])


def test_recipes_are_found_by_name():
    recipes = Variants(thumb=Variant(200, 200, fit="cover"), card=Variant(width=800))
    assert list(recipes) == ["thumb", "card"]
    assert recipes["card"] is recipes.recipe("card")
    assert recipes == Variants(card=Variant(width=800), thumb=Variant(200, 200, fit="cover"))
    assert len({recipes, Variants(**recipes), Variants()}) == 2
    assert eval(repr(recipes), {"Variants": Variants, "Variant": TheVariant}) == recipes
    with pytest.raises(InvalidArgumentException, match="no variant 'large'; there are: thumb, card"):
        recipes.recipe("large")


@pytest.mark.parametrize("name", ["Thumb", "1st", "a-b", "", "a" * 33, "a/b", "ä", "a\n"])
def test_a_name_that_no_key_should_have_is_refused(name):
    with pytest.raises(InvalidArgumentException, match="the name of a variant"):
        Variants(**{name: Variant()})


def test_what_is_no_recipe_has_no_name():
    with pytest.raises(InvalidArgumentException, match="thumb must be a Variant, not 200"):
        Variants(thumb=200)


def test_further_widths_are_recipes_of_their_own():
    recipes = Variants(
        card=Variant(800, 600, fit="cover", widths=[1600, 400, 800, 400], when="request"), thumb=Variant(8)
    )
    assert list(recipes) == ["card", "card_400", "card_1600", "thumb"]
    assert recipes["card"].widths == (400, 1600)
    assert recipes["card_400"] == Variant(400, 300, fit="cover", when="request")
    assert recipes["card"].digest == Variant(800, 600, fit="cover").digest
    assert list(recipes.family("card")) == ["card", "card_400", "card_1600"]
    assert eval(repr(recipes), {"Variants": Variants, "Variant": TheVariant}) == recipes == Variants(**recipes)


@pytest.mark.parametrize(
    "named",
    [
        {"card": Variant(8, widths=(400,)), "card_400": Variant(9)},
        {"card_400": Variant(9), "card": Variant(8, widths=(400,))},
        {"a": Variant(8, widths=(4,)), "a_4": Variant(4, widths=(3,))},
    ],
)
def test_a_name_that_two_recipes_would_have_is_refused(named):
    with pytest.raises(InvalidArgumentException, match="is the name of a further width"):
        Variants(**named)


def test_a_name_without_room_for_its_widths_is_refused():
    with pytest.raises(InvalidArgumentException, match="up to 32"):
        Variants(**{"a" * 30: Variant(8, widths=(400,))})
