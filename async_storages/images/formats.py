"""Formats of images: how they are called, and what variants can be written in."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["READABLE", "WRITABLE", "ImageFormat", "TargetFormat"]

type TargetFormat = Literal["avif", "jpeg", "png", "webp"]


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format that variants are written in.

    Attributes:
        name: Its name in recipes, such as ``"jpeg"``.
        content_type: Its media type.
        extension: The extension of its files, without a dot.
        quality: The quality where a recipe has none; None where the format has no such thing.
        has_alpha: True if it has transparency.
        has_frames: True if it has animations.
    """

    name: TargetFormat
    content_type: str
    extension: str
    quality: int | None
    has_alpha: bool = True
    has_frames: bool = False


WRITABLE: dict[str, ImageFormat] = {
    "avif": ImageFormat("avif", "image/avif", "avif", 60),
    "jpeg": ImageFormat("jpeg", "image/jpeg", "jpg", 82, has_alpha=False),
    "png": ImageFormat("png", "image/png", "png", None),
    "webp": ImageFormat("webp", "image/webp", "webp", 80, has_frames=True),
}
"""The formats of variants, by name."""

READABLE: dict[str, str] = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "webp": "image/webp",
}
"""The formats that variants can be made of, by name, and their media types."""
