"""AVIF and HEIC: nested boxes that describe the items of a file.

Sources: ISO/IEC 14496-12 (boxes, `meta`, `pitm`, `clap`), 23008-12 (`iprp`, `ispe`, `irot`, `imir`). An EXIF
item is only informative in these files: readers use only `irot` and `imir`.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from async_storages.images.size import ImageSize, image_size
from async_storages.images.window import ENDLESS, Walk, Window, broken

__all__ = ["heif"]

_BRANDS = frozenset(
    {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
    | {b"avci", b"avcs", b"j2ki", b"j2is"}
)
_LONGEST_FTYP = 256
_LONGEST_IPMA = 65536
_ENTRIES_OF_A_PART = 4

# By the axis of imir, None without, and the quarter turns of irot, which are anti-clockwise and come first.
_ORIENTATIONS: dict[int | None, tuple[int, ...]] = {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}

# The properties that are read: where in the box, and how. HEVC stores whole blocks; clap cuts them to size.
_PROPERTIES = {
    b"clap": (0, struct.Struct(">IIII")),
    b"ispe": (4, struct.Struct(">II")),
    b"irot": (0, struct.Struct(">B")),
    b"imir": (0, struct.Struct(">B")),
}


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    body: int
    end: int


def heif(window: Window) -> Walk[ImageSize | None]:
    """Return the size of the primary item of a file with a `ftyp` box. None for other families, such as MP4."""
    box = yield from _box(window, 0, ENDLESS)
    brands = yield from window.peek(box.body, min(box.end - box.body, _LONGEST_FTYP))
    # the minor version is between the first brand and the others
    if _BRANDS.isdisjoint(brands[at : at + 4] for at in (0, *range(8, len(brands), 4))):
        return None
    while box.kind != b"meta":
        box = yield from _box(window, box.end, ENDLESS)
    items = _Items(window)
    yield from _boxes(window, box.body + 4, box.end, items.in_meta)
    return items.primary_size()


def _box(window: Window, at: int, end: int) -> Walk[_Box]:
    """Return the box at `at`. It must not reach beyond `end`, the end of the box around it."""
    window.spend(1)
    size, kind = struct.unpack(">I4s", (yield from window.read(at, 8)))
    body = at + 8
    if size == 1:
        (size,) = struct.unpack(">Q", (yield from window.read(body, 8)))
        body += 8
    elif size == 0:
        size = end - at
    if not body <= at + size <= end:
        raise broken(f"the box {kind!r} has an impossible length")
    return _Box(kind, body, at + size)


def _boxes(window: Window, at: int, end: int, visit: Callable[[_Box], Walk[None]]) -> Walk[None]:
    while at < end:
        box = yield from _box(window, at, end)
        yield from visit(box)
        at = box.end


@dataclass(frozen=True, slots=True)
class _Associations:
    """An `ipma` box: it assigns the numbers of properties to items."""

    body: bytes
    count: int
    item_size: int
    is_wide: bool

    def of(self, item: int, window: Window) -> Sequence[int]:
        """Return the numbers of an item's properties, from 1. Empty if the item is not in this box."""
        body, item_size, width = self.body, self.item_size, 2 if self.is_wide else 1
        if item >> 8 * item_size:
            return ()
        count = min(self.count, len(body) // (item_size + 1) + 1)
        window.spend(count // _ENTRIES_OF_A_PART)
        name, at = item.to_bytes(item_size), 0
        try:
            for _ in range(count):
                numbers = at + item_size + 1
                end = numbers + body[numbers - 1] * width
                if body.startswith(name, at):
                    return self._numbers(body[numbers:end])
                at = end
        except (IndexError, struct.error):
            raise broken("the box b'ipma' ends inside an item, or has more than 64 KiB") from None
        return ()

    def _numbers(self, packed: bytes) -> Sequence[int]:
        # the highest bit of a number says whether the property is essential
        if self.is_wide:
            return [value & 0x7FFF for (value,) in struct.iter_unpack(">H", packed)]
        return [value & 0x7F for value in packed]


class _Items:
    """The primary item of a `meta` box. Other items are thumbnails, tiles and masks."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._primary: int | None = None
        self._properties: list[tuple[bytes, tuple[int, ...]]] = []
        self._associations: list[_Associations] = []

    def primary_size(self) -> ImageSize:
        if self._primary is None:
            raise broken("an AVIF or HEIC without a primary item")
        found = [each.of(self._primary, self._window) for each in self._associations]
        numbers = next(filter(None, found), ())
        shape = dict(self._properties[number - 1] for number in numbers if 0 < number <= len(self._properties))
        if b"ispe" not in shape:
            raise broken("an AVIF or HEIC whose primary item has no size")
        turns = shape.get(b"irot", (0,))[0] & 3
        axis = shape[b"imir"][0] & 1 if b"imir" in shape else None
        width, height = _clean(*shape[b"ispe"], *shape.get(b"clap", ()))
        return image_size(width, height, _ORIENTATIONS[axis][turns])

    def in_meta(self, box: _Box) -> Walk[None]:
        if box.kind == b"pitm":
            (version,) = yield from self._read(box, 0, struct.Struct(">B3x"))
            (self._primary,) = yield from self._read(box, 4, struct.Struct(">I" if version else ">H"))
        elif box.kind == b"iprp":
            yield from _boxes(self._window, box.body, box.end, self._in_iprp)

    def _in_iprp(self, box: _Box) -> Walk[None]:
        if box.kind == b"ipco":
            yield from _boxes(self._window, box.body, box.end, self._in_ipco)
        elif box.kind == b"ipma":
            yield from self._ipma(box)

    def _in_ipco(self, box: _Box) -> Walk[None]:
        value: tuple[int, ...] = ()
        if box.kind in _PROPERTIES:
            value = yield from self._read(box, *_PROPERTIES[box.kind])
        self._properties.append((box.kind, value))

    def _ipma(self, box: _Box) -> Walk[None]:
        version, flags, count = yield from self._read(box, 0, struct.Struct(">B2xBI"))
        body = yield from self._window.read(box.body + 8, min(box.end - box.body - 8, _LONGEST_IPMA))
        self._associations.append(_Associations(body, count, item_size=4 if version else 2, is_wide=bool(flags & 1)))

    def _read(self, box: _Box, at: int, layout: struct.Struct) -> Walk[tuple[int, ...]]:
        if box.body + at + layout.size > box.end:
            raise broken(f"the box {box.kind!r} is too short")
        return layout.unpack((yield from self._window.read(box.body + at, layout.size)))


def _clean(width: int, height: int, *aperture: int) -> tuple[int, int]:
    """Return the sides of the clean aperture, which holds them as two fractions."""
    if not aperture:
        return width, height
    clean_width, width_divisor, clean_height, height_divisor = aperture
    if not width_divisor or not height_divisor:
        raise broken("a clean aperture that divides by zero")
    return min(width, clean_width // width_divisor), min(height, clean_height // height_divisor)
