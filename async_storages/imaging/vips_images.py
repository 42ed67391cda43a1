"""The engine that uses libvips, through pyvips. It needs the extra `vips`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from async_storages.errors import ImageProcessingException, InvalidFileTypeException
from async_storages.images import detail
from async_storages.images.formats import ImageFormat
from async_storages.images.geometry import Plan, lying
from async_storages.images.recipes import Variant
from async_storages.imaging.engines import Pixels
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import Original

try:
    import pyvips
except (ImportError, OSError) as error:  # the second where libvips itself is missing
    raise ImportError('VipsEngine needs libvips: run  pip install "sqlalchemy-async-storages[vips]"') from error

__all__ = ["make", "shrink"]

pyvips.cache_set_max(0)  # each image comes once; the cache would keep pixels and open files
pyvips.block_untrusted_set(True)

_GAP = 2.0
_EFFORT = 3  # for AVIF, as Pillow: the next one takes twice the time
_SHRINKS = (8, 4, 2)
_WHITE = [255, 255, 255]
_TURNS: dict[int, Callable[[Any], Any]] = {
    2: lambda image: image.fliphor(),
    3: lambda image: image.rot180(),
    4: lambda image: image.flipver(),
    5: lambda image: image.rot90().fliphor(),
    6: lambda image: image.rot90(),
    7: lambda image: image.rot270().fliphor(),
    8: lambda image: image.rot270(),
}
_PAGED = frozenset({"avif", "gif", "tiff", "webp"})


def make(original: Original, target: Path, recipe: Variant, limits: ImageLimits) -> None:
    """Make a variant: see `ImageEngine.make`."""
    image_format = recipe.format_for(original.content_type)
    with _decoding(original):
        made = _made(original, recipe, image_format, limits)
    _forget_orientation(made)
    try:
        target.write_bytes(made.write_to_buffer(f".{image_format.extension}", **_options(recipe, image_format)))
    except (pyvips.Error, OSError) as error:
        raise ImageProcessingException(f"the variant cannot be written as {image_format.name}: {error}") from error


def shrink(original: Original, side: int, limits: ImageLimits) -> Pixels:
    """The pixels of a small image: see `ImageEngine.shrink`."""
    recipe = Variant(side, side, format="png")
    with _decoding(original):
        small = _made(original, recipe, recipe.format_for(""), limits).colourspace("srgb")
        rgba = small if small.hasalpha() else small.addalpha()
        return Pixels(rgba.width, rgba.height, bytes(rgba.write_to_memory()))


@contextmanager
def _decoding(original: Original) -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        reason = f"the image cannot be decoded as {original.format}: {error.detail}"
        raise InvalidFileTypeException(reason, rule="image_damaged") from error


def _made(original: Original, recipe: Variant, image_format: ImageFormat, limits: ImageLimits) -> Any:
    """The whole variant, in memory."""
    if original.format == "avif":
        original = original.turned()
    image, frames = _loaded(original, recipe, image_format, limits)
    maker = _Maker(original, recipe, image_format)
    made = [maker.frame(frame) for frame in frames]
    joined = made[0] if len(made) == 1 else pyvips.Image.arrayjoin(made, across=1)
    joined = joined.copy_memory().copy()
    if len(made) > 1:
        joined.set_type(pyvips.GValue.gint_type, "page-height", made[0].height)
        for name in ("delay", "loop"):
            if image.get_typeof(name):
                joined.set_type(image.get_typeof(name), name, image.get(name))
    return joined


def _loaded(
    original: Original, recipe: Variant, image_format: ImageFormat, limits: ImageLimits
) -> tuple[Any, list[Any]]:
    """The image, and its frames that are wanted."""
    name = {"avif": "heifload"}.get(original.format, f"{original.format}load")
    if not pyvips.type_find("VipsOperation", name):
        raise InvalidFileTypeException(f"the installed libvips reads no {original.format}", rule="image_format")
    load = getattr(pyvips.Image, name)
    options: dict[str, Any] = {"fail_on": "error"}
    frames = 1
    if original.format in _PAGED:
        count = _number_of_pages(load(str(original.path)))
        if recipe.animated and image_format.has_frames and original.may_be_animated:
            frames = count
            options["n"] = -1
        elif recipe.page >= count:
            raise InvalidFileTypeException(f"the image has no page {recipe.page}, counted from 0")
        else:
            options["page"] = recipe.page
    elif recipe.page:
        raise InvalidFileTypeException(f"the image has no page {recipe.page}, counted from 0")
    limits.check_frames(max(frames, recipe.page + 1), original.size.dimensions)
    if original.format == "jpeg":
        options["shrink"] = _shrink(original, recipe)
    image = load(str(original.path), access="random" if recipe.crop == "entropy" else "sequential", **options)
    height = image.height // frames
    _check_size(original, (image.width, height), options.get("shrink", 1))
    if frames == 1:
        return image, [image]
    image = image.copy_memory()
    return image, [image.crop(0, number * height, image.width, height) for number in range(frames)]


def _number_of_pages(image: Any) -> int:
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def _shrink(original: Original, recipe: Variant) -> int:
    """The whole number by which the decoder may make the image smaller, before it is scaled."""
    plan = recipe.plan(original.size)
    across, down = plan.box[2] - plan.box[0], plan.box[3] - plan.box[1]
    least = min(across / plan.size[0], down / plan.size[1]) / _GAP
    return next((shrink for shrink in _SHRINKS if shrink <= least), 1)


def _check_size(original: Original, size: tuple[int, int], shrink: int) -> None:
    """Refuse an image of another size than its header said."""
    stored = original.size.raw_dimensions
    if any(abs(side * shrink - full) >= shrink for side, full in zip(size, stored, strict=True)):
        raise InvalidFileTypeException(f"the image has {size} pixels, its header {original.size}", rule="image_damaged")


class _Maker:
    """Makes the frames of one variant."""

    def __init__(self, original: Original, recipe: Variant, image_format: ImageFormat) -> None:
        self._original = original
        self._recipe = recipe
        self._format = image_format
        self._plan: Plan | None = None

    def frame(self, image: Any) -> Any:
        """A frame of the variant."""
        plan = self._plan = self._plan or self._planned(image)
        made = _to_srgb(self._resized(image, plan))
        if (turn := _TURNS.get(self._original.size.orientation)) is not None:
            made = turn(made.copy_memory())
        if self._recipe.sharpen:
            made = _sharpened(made, self._recipe.sharpen)
        return self._on_canvas(made, plan)

    def _planned(self, image: Any) -> Plan:
        plan = self._recipe.plan(self._original.size)
        if self._recipe.crop != "entropy":
            return plan
        scale = min(1.0, detail.LARGEST / max(image.width, image.height))
        small = image.resize(scale, vscale=scale).colourspace("b-w").extract_band(0).cast("uchar").copy_memory()
        if (turn := _TURNS.get(self._original.size.orientation)) is not None:
            small = turn(small)
        greys = bytes(small.write_to_memory())
        focus = detail.detailed_point(small.width, small.height, greys, plan.size)
        return self._recipe.plan(self._original.size, focus)

    def _resized(self, image: Any, plan: Plan) -> Any:
        box = lying(plan.box, self._original.size.dimensions, self._original.size.orientation)
        stored = self._original.size.raw_dimensions
        across, down = image.width / stored[0], image.height / stored[1]
        left, top = int(box[0] * across), int(box[1] * down)
        width = max(1, min(round((box[2] - box[0]) * across), image.width - left))
        height = max(1, min(round((box[3] - box[1]) * down), image.height - top))
        part = image.crop(left, top, width, height) if (width, height) != (image.width, image.height) else image
        size = plan.size[::-1] if self._original.size.orientation >= 5 else plan.size
        if size == (part.width, part.height):
            return part
        alpha = part.hasalpha()
        scaled = (part.premultiply() if alpha else part).resize(size[0] / width, vscale=size[1] / height, gap=_GAP)
        return scaled.unpremultiply().cast(image.format) if alpha else scaled

    def _on_canvas(self, image: Any, plan: Plan) -> Any:
        background = self._recipe.background
        colour = [int(background[at : at + 2], 16) for at in (1, 3, 5)] if background else _WHITE
        if self._recipe.fit == "contain":
            image = image.colourspace("srgb")
            if background is None and self._format.has_alpha:
                image = image if image.hasalpha() else image.addalpha()
                return image.embed(*plan.place, *plan.canvas, extend="background", background=[0, 0, 0, 0])
            image = image.flatten(background=colour) if image.hasalpha() else image
            return image.embed(*plan.place, *plan.canvas, extend="background", background=colour)
        if image.hasalpha() and not self._format.has_alpha:
            return image.colourspace("srgb").flatten(background=colour)
        return image


def _to_srgb(image: Any) -> Any:
    """The image in 8-bit grey or RGB, as littlecms sees it through its profile, if that fits."""
    if image.get_typeof("icc-profile-data"):
        try:
            seen = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=8).copy_memory()
        except pyvips.Error:
            pass
        else:
            return seen
    is_grey = image.bands < 3
    return image.colourspace("b-w" if is_grey else "srgb").cast("uchar")


def _sharpened(image: Any, strength: float) -> Any:
    """An unsharp mask: what a blur takes away is added once more."""
    image = image.copy_memory()
    return (image + (image - image.gaussblur(1.0)) * strength).cast("uchar").copy(interpretation=image.interpretation)


def _forget_orientation(image: Any) -> None:
    """Leave out of the EXIF what is true no more: the orientation, which was applied, and a thumbnail."""
    for name in ("orientation", "exif-ifd0-Orientation", "jpeg-thumbnail-data"):
        if image.get_typeof(name):
            image.remove(name)


def _options(recipe: Variant, image_format: ImageFormat) -> dict[str, Any]:
    """Options of libvips' savers."""
    options: dict[str, Any] = {"keep": "none" if recipe.strip else "exif"}
    if image_format.quality is not None:
        options["Q"] = recipe.quality or image_format.quality
    if image_format.name == "avif":
        options["effort"] = _EFFORT
    return options
