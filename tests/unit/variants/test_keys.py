"""Ids of variants, and the way back to their original."""

import pytest

from async_storages import InvalidArgumentException, Variant, Variants
from async_storages.ids import FileId
from async_storages.variants.keys import (
    check_recipes,
    complete_recipe,
    find_original,
    folder_of,
    is_variant,
    slave_prefix,
    variant_id,
)

THUMB = Variant(200, 200, fit="cover")
LONG = "folder/" * 130
FASTDFS = "group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.png"


@pytest.mark.parametrize(
    "original", ["cat.png", "a/b/5f0c7a4be11c9d20_cat.png", "variants/cat.png", "variants/a/variants/ä b.png"]
)
def test_there_and_back(original):
    variant = variant_id(FileId("s3", "bucket", original), "thumb", THUMB)
    folder, _, name = original.rpartition("/")
    assert variant.key == f"{folder}{'/' if folder else ''}variants/{name}/thumb-{THUMB.digest}.png"
    assert find_original(variant.key) == original
    assert is_variant(variant)
    assert (variant.scheme, variant.bucket) == ("s3", "bucket")


@pytest.mark.parametrize(
    "key",
    [
        "thumb-0123456789abcdef.png",
        "cat.png/thumb-0123456789abcdef.png",
        "variants/thumb-0123456789abcdef.png",
        "variants//thumb-0123456789abcdef.png",
        "variants/cat.png/thumb-0123456789abcdef.gif",
        "variants/cat.png/thumb-0123456789abcde.png",
        "variants/cat.png/0123456789abcdef_thumb-0123456789abcdef.png",
        "variants/cat.png/abcdef0123456789_thumb-0123456789abcdef.png",
        "variants/cat.png/more/thumb-0123456789abcdef.png",
        "variants/cat.png/Thumb-0123456789abcdef.png",
    ],
)
def test_other_keys_are_no_variants(key):
    assert find_original(key) is None
    assert not is_variant(FileId("mem", None, key)) or key == "variants//thumb-0123456789abcdef.png"


@pytest.mark.parametrize(
    ("name", "recipe", "extension"),
    [
        ("a.JPG", Variant(width=9), "jpg"),
        ("a.jpeg", Variant(width=9), "jpg"),
        ("a.gif", Variant(width=9), "webp"),
        ("a", Variant(width=9), "webp"),
        ("a.png", Variant(width=9, format="avif"), "avif"),
        ("a.png", Variant(width=9, animated=True), "webp"),
        ("a.png", Variant(width=9, quality=3), "png"),
        ("a.jpg", Variant(width=9, quality=3, animated=True), "jpg"),
    ],
)
def test_the_extension_of_the_original_says_the_format(name, recipe, extension):
    assert variant_id(FileId("mem", None, name), "card", recipe).key.endswith(f"card-{recipe.digest}.{extension}")
    complete = complete_recipe(recipe, name)
    assert complete.format_for("image/tiff").extension == extension
    assert (complete.width, complete.format is None) == (9, False)


def test_long_keys():
    original = FileId("s3", "b", LONG + "x" * 100 + ".png")
    variant = variant_id(original, "t" * 32, THUMB)
    assert len(variant.key) <= 1024
    assert "/variants/~" in variant.key
    assert is_variant(variant)
    assert find_original(variant.key) is None
    assert variant.key != variant_id(FileId("s3", "b", LONG + "y" * 100 + ".png"), "t" * 32, THUMB).key
    too_long = "f" * 990 + "/cat.png"
    assert folder_of(too_long) is None
    with pytest.raises(InvalidArgumentException, match="too long for variants"):
        variant_id(FileId("s3", "b", too_long), "thumb", THUMB)


def test_fastdfs():
    original = FileId.parse(FASTDFS)
    variants = {variant_id(original, name, THUMB).key for name in ("thumb", "thumbnail", "thumbnails", "a", "a_b_c_d")}
    assert len(variants) == 5
    for key in variants:
        assert is_variant(FileId.parse(key))
        assert key.startswith(FASTDFS.removesuffix(".png") + "_")
    assert len(slave_prefix("thumbnail", THUMB)) == 16
    assert not is_variant(original)
    assert not is_variant(FileId.parse(FASTDFS.replace(".png", "_small.png")))


def test_what_nobody_would_make_is_refused():
    with pytest.raises(InvalidArgumentException, match="'thumb' has when='request', but the column has no URLs"):
        check_recipes(Variants(thumb=Variant(width=9, when="request")), has_links=False)
    check_recipes(Variants(thumb=Variant(width=9, when="request")), has_links=True)
    check_recipes(Variants(thumb=Variant(width=9, when="worker")), has_links=False)


def test_names_like_keys_of_uploads_are_refused():
    with pytest.raises(InvalidArgumentException, match="another name"):
        check_recipes(Variants(abcdefabcdefabcd_x=Variant(width=9)), has_links=True)
