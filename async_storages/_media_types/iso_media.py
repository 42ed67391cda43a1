"""MP4, QuickTime, HEIF and their kin, told apart by brands: ISO/IEC 14496-12, and the registry at mp4ra.org."""

__all__ = ["BRANDED_TYPES", "by_brand"]

_HEIF = "image/heif"
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"avci": "image/avci",
    b"avcs": "image/avcs",
    b"j2ki": "image/hej2k",
    b"j2is": "image/hej2k",
    b"mif1": _HEIF,
    b"msf1": _HEIF,
    b"crx ": "image/x-canon-cr3",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"M4V ": "video/x-m4v",
    b"3g2a": "video/3gpp2",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
}
_STILL_TYPES = frozenset({"image/avif", "image/heic", "image/avci", "image/avcs", "image/hej2k"})
_MP4 = (b"iso", b"mp4", b"avc1", b"dash")

BRANDED_TYPES = frozenset(_BRANDS.values())
"""Every type that a brand tells."""


def by_brand(head: bytes) -> str | None:
    """The type of a file that begins with a `ftyp` box: that of its major brand.

    Where that only says that it is an image, or is unknown beside the brand of images, a compatible brand decides.
    """
    if head[:1] != b"\0" or head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4]), len(head))
    major, *compatible = [head[at : at + 4] for at in (8, *range(16, end, 4))]
    kind = _BRANDS.get(major)
    if kind is None and _BRANDS.keys() & {b"mif1", b"msf1"} & {*compatible}:
        kind = None if any(brand.startswith(_MP4) for brand in (major, *compatible)) else _HEIF
    if kind == _HEIF:
        kinds = map(_BRANDS.get, compatible)
        return next((each for each in kinds if each in _STILL_TYPES), kind)
    return kind or "video/mp4"
