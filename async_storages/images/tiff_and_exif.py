"""TIFF, BigTIFF and EXIF. An EXIF block is a TIFF without an image.

Sources: TIFF 6.0, section 2; https://www.awaresystems.be/imaging/tiff/bigtiff.html; CIPA DC-008, section 4.5.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Literal

from async_storages.images.size import ImageSize, image_size
from async_storages.images.window import ENDLESS, Walk, Window, broken

__all__ = ["exif_orientation", "tiff"]

_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_TAGS = frozenset({_WIDTH, _HEIGHT, _ORIENTATION})

# Of the directory of one image; real ones have a hundred.
_MAX_ENTRIES = 2048
_ENTRIES_OF_A_PART = 8

# Bytes of the field types SHORT, LONG and LONG8.
_INTEGERS = {3: 2, 4: 4, 16: 8}


@dataclass(frozen=True, slots=True)
class _Layout:
    """The layout of a TIFF: the offset of its directory, the number of entries there, and each entry."""

    byte_order: Literal["little", "big"]
    offset: Struct
    count: Struct
    entry: Struct


_LAYOUTS = {
    b"II*\0": _Layout("little", Struct("<I"), Struct("<H"), Struct("<HHI4s")),
    b"MM\0*": _Layout("big", Struct(">I"), Struct(">H"), Struct(">HHI4s")),
    b"II+\0": _Layout("little", Struct("<4xQ"), Struct("<Q"), Struct("<HHQ8s")),
    b"MM\0+": _Layout("big", Struct(">4xQ"), Struct(">Q"), Struct(">HHQ8s")),
}


def tiff(window: Window) -> Walk[ImageSize]:
    """Return the size of the first image of a TIFF. Its directory may be anywhere in the file."""
    layout = _LAYOUTS[(yield from window.read(0, 4))]
    (directory,) = layout.offset.unpack((yield from window.read(4, layout.offset.size)))
    if directory < 4 + layout.offset.size:
        raise broken("a TIFF whose directory lies inside its header")
    fields = yield from _fields(window, layout, directory, ENDLESS)
    return image_size(fields.get(_WIDTH, 0), fields.get(_HEIGHT, 0), _orientation(fields))


def exif_orientation(window: Window, start: int, end: int) -> Walk[int]:
    """Return the orientation in the EXIF block from `start` to `end`. 1 if it has none, or an invalid one."""
    if end - start < 8:
        return 1
    head = yield from window.read(start, 8)
    layout = _LAYOUTS.get(head[:4])
    if layout is None or layout.offset.size != 4:
        return 1
    (directory,) = layout.offset.unpack(head[4:])
    if directory + layout.count.size > end - start:
        return 1
    return _orientation((yield from _fields(window, layout, start + directory, end)))


def _fields(window: Window, layout: _Layout, at: int, end: int) -> Walk[dict[int, int]]:
    """Return the needed integers of the directory at `at`, if they lie before `end`."""
    (count,) = layout.count.unpack((yield from window.read(at, layout.count.size)))
    at += layout.count.size
    size = layout.entry.size
    count = min(count, (end - at) // size)
    if count > _MAX_ENTRIES:
        raise broken(f"a directory of {count} entries, more than {_MAX_ENTRIES}")
    window.spend(count // _ENTRIES_OF_A_PART)
    fields: dict[int, int] = {}
    for tag, kind, values, field in layout.entry.iter_unpack((yield from window.read(at, count * size))):
        if tag in _TAGS and values == 1 and _INTEGERS.get(kind, ENDLESS) <= len(field):
            # of fields that are there twice readers take the first
            fields.setdefault(tag, int.from_bytes(field[: _INTEGERS[kind]], layout.byte_order))
    return fields


def _orientation(fields: dict[int, int]) -> int:
    orientation = fields.get(_ORIENTATION, 1)
    return orientation if 1 <= orientation <= 8 else 1
