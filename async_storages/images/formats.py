"""Image formats: their names, and the formats in which variants can be written."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["READABLE", "WRITABLE", "ImageFormat", "TargetFormat"]

type TargetFormat = Literal["avif", "jpeg", "png", "webp"]


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format in which variants can be written.

    Attributes:
        name: The name in recipes, for example ``"jpeg"``.
        content_type: The content type.
        extension: The file extension, without a dot.
        quality: The quality for recipes without one. None if the format has no quality.
        has_alpha: True if the format has transparency.
        has_frames: True if the format has animations.
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
"""The formats of originals, by name, with their content types."""
