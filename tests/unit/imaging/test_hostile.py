"""Hostile images: nothing is raised but the library's errors, and nothing of them is in a variant."""

import io
import resource
from importlib import import_module

import pytest
from PIL import Image

from async_storages import (
    ImageLimits,
    ImagePool,
    ImageProcessingException,
    InvalidFileTypeException,
    PillowEngine,
    Variant,
    VipsEngine,
)
from tests.support.hostile_images import EITHER, HARMLESS, REFUSED, SVG, many_frames
from tests.support.images import encode
from tests.support.patience import HANGS

RECIPES = [
    Variant(64, 64, format="webp"),
    Variant(64, 64, fit="cover", crop="entropy", format="jpeg"),
    Variant(64, animated=True),
    Variant(64, page=1, format="png"),
]
ERRORS = (InvalidFileTypeException, ImageProcessingException)
RULES = {
    "image_format": ("an SVG", "a compressed SVG", "PostScript", "a page", "another program's image"),
    "image_too_large": ("a declared bomb", "a real bomb", "a bomb of a JPEG", "a bomb of a GIF"),
}
"""The rules that refuse images of these names; all others are damaged."""


@pytest.fixture(params=[PillowEngine, VipsEngine])
async def pool(request):
    """A pool that lets TIFF in, and whose time no slow machine takes."""
    if request.param is VipsEngine:
        pytest.importorskip("pyvips")
    limits = ImageLimits(formats=["jpeg", "png", "webp", "gif", "avif", "tiff"], timeout=HANGS)
    async with ImagePool(workers=1, engine=request.param(), limits=limits) as pool:
        yield pool


@pytest.fixture
def original(tmp_path):
    return tmp_path / "photo.jpg"


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_good_image_is_refused(pool, original, name):
    original.write_bytes(REFUSED[name]())
    target = original.with_name("made")
    rule = next((rule for rule, names in RULES.items() if name in names), "image_damaged")
    for recipe in RECIPES:
        with pytest.raises(InvalidFileTypeException) as caught:
            await pool.make(original, target, recipe)
        assert caught.value.rule == rule or (recipe.page and "no page" in caught.value.reason)
        assert not target.exists()
    with pytest.raises(InvalidFileTypeException) as caught:
        await pool.placeholder(original)
    assert caught.value.rule == rule
    assert list(original.parent.iterdir()) == [original]


@pytest.mark.parametrize("name", EITHER)
async def test_what_some_decoders_read_harms_nobody(pool, original, name):
    original.write_bytes(EITHER[name]())
    target = original.with_name("made")
    for recipe in RECIPES:
        try:
            made = await pool.make(original, target, recipe)
        except ERRORS:
            assert not target.exists()
        else:
            assert made.width <= 64


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_only_looks_dangerous_is_made(pool, original, name):
    original.write_bytes(HARMLESS[name]())
    for recipe in RECIPES[:2]:
        made = await pool.make(original, original.with_name("made"), recipe)
        assert max(made.width, made.height) <= 64
        assert b"alert" not in original.with_name("made").read_bytes()
    await pool.placeholder(original)


async def test_all_frames_are_counted_before_they_are_decoded(pool, original):
    original.write_bytes(many_frames())
    with pytest.raises(InvalidFileTypeException, match="300 frames of 2000 by 2000 pixels are more than the 200000000"):
        await pool.make(original, original.with_name("made"), Variant(64, animated=True))


async def test_an_svg_is_not_even_opened_by_a_library_that_could(pool, original):
    original.write_bytes(SVG)
    with pytest.raises(InvalidFileTypeException, match=r"image/svg\+xml is not among the formats allowed"):
        await pool.make(original, original.with_name("made"), Variant(64))


def test_a_damaged_byte_anywhere_raises_nothing_else(tmp_path):
    """In this process: a worker would hide what is raised."""
    engine = import_module("async_storages.imaging.pillow").PillowEngine()
    originals = import_module("async_storages.imaging.originals")
    path, limits = tmp_path / "a", ImageLimits(formats=["jpeg", "png", "webp", "gif", "tiff"])
    for image_format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        image = encode(image_format, (24, 16), frames=2 if image_format == "GIF" else 1)
        for at in range(0, len(image), max(1, len(image) // 200)):
            path.write_bytes(image[:at] + bytes([image[at] ^ 0xFF]) + image[at + 1 :])
            try:
                engine.make(originals.inspected(path, limits), tmp_path / "made", RECIPES[at % 3], limits)
            except (*ERRORS, MemoryError):
                continue
            with Image.open(io.BytesIO((tmp_path / "made").read_bytes())) as made:
                made.load()


async def test_the_limits_of_the_workers_are_not_those_of_this_process(pool, original):
    before = [resource.getrlimit(which) for which in (resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU)]
    original.write_bytes(encode("PNG"))
    await pool.make(original, original.with_name("made"), RECIPES[0])
    after = [resource.getrlimit(which) for which in (resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU)]
    assert after == before
