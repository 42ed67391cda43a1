"""Rules for images: what they refuse, and that what they let in is stored whole."""

import asyncio
import zlib

import pytest

from async_storages import (
    FileValidator,
    ImageRules,
    InvalidArgumentException,
    InvalidFileTypeException,
    LocalStorage,
    MemoryStorage,
)
from async_storages.direct_uploads.uploads import DirectUploads
from tests.support.images import camera_jpeg, chunk, encode, ihdr, png
from tests.support.streams import stream


def huge_png():
    """A PNG that says it has 20000 by 20000 pixels, of which there are none."""
    header = ihdr(20_000, 20_000)
    return png(header, chunk(b"IDAT", zlib.compress(b"")))


async def save(content, **rules):
    storage = MemoryStorage()
    async with FileValidator(image=ImageRules(**rules)).open(content, "a.bin") as checked:
        stored = await storage.save(checked)
    return await stored.read()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_an_image_that_keeps_the_rules_is_stored_whole(image_format):
    image = encode(image_format, (300, 200))
    assert await save(image, min_width=300, min_height=200, max_pixels=60_000) == image


@pytest.mark.parametrize(("image_format", "frames"), [("GIF", 1), ("WEBP", 1), ("JPEG", 1), ("PNG", 1), ("GIF", 2)])
async def test_still_images_and_by_default_animations_are_let_in(image_format, frames):
    image = encode(image_format, (30, 20), frames=frames)
    assert await save(image, animated=frames > 1) == image


async def test_a_large_image_is_decoded_from_disk(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode("PNG", (1000, 800)) + bytes(2 << 20))
    assert await save(path) == path.read_bytes()


REFUSED = {
    "too narrow": (
        encode("PNG", (99, 200)),
        {"min_width": 100},
        "99 by 200 pixels are less than the 100 by 1 required",
        "image_too_small",
    ),
    "too low": (encode("PNG", (200, 99)), {"min_height": 100}, "less than the 1 by 100 required", "image_too_small"),
    "too narrow as it is displayed": (camera_jpeg(), {"min_width": 22}, "21 by 37", "image_too_small"),
    "too many pixels": (
        encode("PNG", (100, 100)),
        {"max_pixels": 9999},
        "more than the 9999 allowed",
        "image_too_large",
    ),
    "a bomb": (huge_png(), {}, "more than the 50000000 allowed", "image_too_large"),
    "an animation": (
        encode("GIF", frames=2),
        {"animated": False},
        "the image is animated; only still images",
        "image_animated",
    ),
    "an animated WebP": (encode("WEBP", frames=2), {"animated": False}, "the image is animated", "image_animated"),
    "no image": (b"<html>", {}, "not an image of a known format", "image_format"),
    "an SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"/>', {}, "not an image", "image_format"),
    "cut in its header": (encode("PNG")[:20], {}, "damaged", "image_damaged"),
    "cut in its pixels": (encode("PNG", (200, 200))[:-60], {}, "cannot be decoded", "image_damaged"),
    "damaged in its header": (camera_jpeg()[:3] + bytes(2000), {}, "damaged", "image_damaged"),
    "another format": (encode("BMP"), {}, "cannot be decoded as JPEG, PNG[A-Z, ]*$", "image_format"),
}


@pytest.mark.parametrize(("content", "rules", "reason", "rule"), REFUSED.values(), ids=REFUSED)
async def test_what_does_not_keep_the_rules_is_refused(content, rules, reason, rule):
    with pytest.raises(InvalidFileTypeException, match=reason) as caught:
        await save(content, **rules)
    assert caught.value.rule == rule


async def test_a_stream_is_refused_with_the_remedy():
    with pytest.raises(InvalidArgumentException, match="readable twice"):
        await save(stream(encode("PNG")))


async def test_decoding_blocks_no_other_task():
    image = encode("PNG", (2000, 2000))
    done = asyncio.create_task(save(image))
    turns = 0
    while not done.done():
        turns += 1
        await asyncio.sleep(0)
    assert await done == image
    assert turns > 10


def test_rules_that_cannot_be_are_refused(tmp_path):
    for rules in ({"min_width": 0}, {"max_pixels": 0}):
        with pytest.raises(InvalidArgumentException, match="at least 1"):
            ImageRules(**rules)
    storage = LocalStorage(tmp_path, base_url="/files", secret_key="secret")
    with pytest.raises(InvalidArgumentException, match="decode no images"):
        DirectUploads(storage, secret_key="s" * 32, validator=FileValidator(image=ImageRules()))
