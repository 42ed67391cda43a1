"""Pillow's images of every kind as 8-bit grey or RGB, with or without alpha, in sRGB."""

from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

__all__ = ["flattened", "resizable", "to_srgb"]

_KEPT = frozenset({"CMYK", "L", "LAB", "RGB", "RGBA"})
_SPACES = {"RGB": "RGB", "RGBX": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""The modes of pixels that a profile of each colour space is about."""


def resizable(image: Image.Image) -> Image.Image:
    """The image in a mode that can be scaled: of CMYK, L, LAB, RGB and RGBA."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")  # 16 bits are what files have
    if image.mode in {"1", "L", "F"}:
        return image.convert("L")
    return image if image.mode in _KEPT else image.convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image in grey or RGB, with alpha or without, as littlecms sees it through its profile.

    Args:
        image: An image in a mode of `resizable`.
        profile: Its ICC profile; one that is broken, or of another kind of image, is passed over, as browsers do.
    """
    if image.mode == "LAB":
        return _transformed(image, ImageCms.createProfile("LAB"), "LAB")
    if profile:
        image = _through(image, profile)
    return image if image.mode in {"L", "RGB", "RGBA"} else image.convert("RGB")


def _through(image: Image.Image, profile: bytes) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha else image
    try:
        opened: Any = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = _SPACES.get(opened.profile.xcolor_space.strip())
        if mode == "RGB" and colours.mode == "L":
            colours = colours.convert("RGB")
        if mode is None or mode != colours.mode:
            return image
        seen = _transformed(colours, opened, mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    if alpha:
        seen.putalpha(alpha)
    return seen.convert("L") if mode == "L" else seen


def _transformed(image: Image.Image, profile: Any, mode: str) -> Image.Image:
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    seen = ImageCms.applyTransform(image, transform)
    assert seen is not None  # noqa: S101 - None only comes of transforms in place
    return seen


def flattened(image: Image.Image, background: str) -> Image.Image:
    """The image on a colour, without alpha."""
    if image.mode != "RGBA":
        return image
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=image.getchannel("A"))
    return canvas
