"""Photographs as the page shows them: with the URLs of their sizes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from async_storages import SrcSet, file_urls
from gallery.models import Photo

LAST = 86_400  # seconds, for pages that stay open
SAME_WITHIN = timedelta(hours=1)  # so that browsers find in their caches what they have
SIZES = "auto, (max-width: 40rem) 60vw, 25vw"  # `auto` is for browsers that look at the style sheet


@dataclass(frozen=True)
class Tile:
    """A photograph with its URLs.

    Attributes:
        photo: The row.
        card: The image in the widths of the grid.
        thumb: The URL of a small square.
        large: The URL of the image in the lightbox.
        original: The URL of the uploaded file.
    """

    photo: Photo
    card: SrcSet
    thumb: str
    large: str
    original: str


async def tiles_of(photos: Iterable[Photo]) -> list[Tile]:
    """The tiles of photographs, in their order."""
    return [await _tile_of(photo) for photo in photos]


async def _tile_of(photo: Photo) -> Tile:
    image = photo.image
    thumb, large = image.variant("thumb"), image.variant("large")
    urls = await file_urls([thumb, large, image], expires_in=LAST, stable=SAME_WITHIN)
    alt = photo.alt or image.filename
    card = await image.srcset("card", sizes=SIZES, alt=alt, presign=True, expires_in=LAST, stable=SAME_WITHIN)
    return Tile(photo, card, urls[thumb], urls[large], urls[image])
