"""The engine that uses Pillow. It needs the extra `images`."""

import struct
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from async_storages.errors import ImageProcessingException, InvalidFileTypeException, StorageException
from async_storages.images import detail
from async_storages.images.formats import ImageFormat
from async_storages.images.geometry import Box, Plan, lying
from async_storages.images.recipes import Variant
from async_storages.imaging.engines import Pixels
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import Original

try:
    from PIL import Image, ImageFile, ImageFilter, UnidentifiedImageError, features

    from async_storages.imaging.pillow_modes import flattened, resizable, to_srgb
except ImportError as error:
    raise ImportError('PillowEngine needs Pillow: run  pip install "sqlalchemy-async-storages[images]"') from error

__all__ = ["make", "make_many", "shrink"]

_PLUGINS = {
    "avif": "AvifImagePlugin",
    "bmp": "BmpImagePlugin",
    "gif": "GifImagePlugin",
    "jpeg": "JpegImagePlugin",
    "png": "PngImagePlugin",
    "tiff": "TiffImagePlugin",
    "webp": "WebPImagePlugin",
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_GAP = 2.0  # an image is first reduced by whole numbers, to no less than twice its size: fast, and not seen
_LONGEST_EXIF_OF_JPEG = 65_527
_DEFAULT_DURATION = 100  # milliseconds, as browsers take for frames that have none


def make(original: Original, target: Path, recipe: Variant, limits: ImageLimits) -> None:
    """Make a variant: see `ImageEngine.make`."""
    image_format = _format_for(original, recipe)
    if not (recipe.animated and image_format.has_frames and original.may_be_animated):
        make_many(original, [(target, recipe)], limits)
        return
    original = _as_decoded(original)
    with _decoding(original) as image:
        maker, frames, durations = _Maker(original, recipe, image_format), [], []
        for frame in _all_frames(image, limits):
            frames.append(maker.made(_decoded(frame, original, [recipe])))
            durations.append(int(frame.info.get("duration", 0)) or _DEFAULT_DURATION)  # known once it is decoded
        options = _options(image, recipe, image_format)
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:], "duration": durations}
    _save(frames[0], target, image_format, options)


def make_many(original: Original, wanted: Sequence[tuple[Path, Variant]], limits: ImageLimits) -> None:
    """Make several variants of what is decoded once: see `MakesMany.make_many`."""
    still: dict[int, list[tuple[Path, Variant]]] = {}
    for target, recipe in wanted:
        if recipe.animated and original.may_be_animated:
            make(original, target, recipe, limits)
        else:
            still.setdefault(recipe.page, []).append((target, recipe))
    for page, group in still.items():
        _make_of_page(_as_decoded(original), page, group, limits)


def _make_of_page(original: Original, page: int, wanted: list[tuple[Path, Variant]], limits: ImageLimits) -> None:
    formats = [_format_for(original, recipe) for _, recipe in wanted]
    with _decoding(original) as image:
        _seek(image, page, limits)
        decoded = _decoded(image, original, [recipe for _, recipe in wanted])
        options = [_options(image, recipe, each) for (_, recipe), each in zip(wanted, formats, strict=True)]
    for (target, recipe), image_format, told in zip(wanted, formats, options, strict=True):
        with _damaged(original):
            made = _Maker(original, recipe, image_format).made(decoded)
        _save(made, target, image_format, told)


def _format_for(original: Original, recipe: Variant) -> ImageFormat:
    image_format = recipe.format_for(original.content_type)
    if not _can(image_format.name):
        raise ImageProcessingException(f"the installed Pillow writes no {image_format.name}: install a newer one")
    return image_format


def _save(image: Image.Image, target: Path, image_format: ImageFormat, options: dict[str, Any]) -> None:
    try:
        image.save(target, image_format.name, **options)
    except (OSError, ValueError) as error:
        raise ImageProcessingException(f"the variant cannot be written as {image_format.name}: {error}") from error


def shrink(original: Original, side: int, limits: ImageLimits) -> Pixels:
    """The pixels of a small image: see `ImageEngine.shrink`."""
    recipe = Variant(side, side, format="png")
    original = _as_decoded(original)
    with _decoding(original) as image:
        _seek(image, 0, limits)
        small = _Maker(original, recipe, recipe.format_for("")).made(_decoded(image, original, [recipe]))
    return Pixels(*small.size, small.convert("RGBA").tobytes())


def _as_decoded(original: Original) -> Original:
    return original.turned() if original.format == "tiff" else original


@contextmanager
def _decoding(original: Original) -> Iterator["ImageFile.ImageFile"]:
    """Open an original, as the format that it was found to be."""
    name = original.format.upper()
    if not _can(original.format):
        raise InvalidFileTypeException(
            f"the installed Pillow reads no {original.format}: install a newer one", rule="image_format"
        )
    # an image has too many pixels when the limits say so; of damaged EXIF blocks Pillow warns, and goes on
    with (
        _damaged(original),
        warnings.catch_warnings(action="ignore"),
        Image.open(original.path, formats=[name]) as image,
    ):
        yield image


@contextmanager
def _damaged(original: Original) -> Iterator[None]:
    """Errors that decoders raise say that the original is damaged."""
    try:
        yield
    except (StorageException, MemoryError):
        raise
    except Exception as error:
        told = "" if isinstance(error, UnidentifiedImageError) else f": {error}"  # that one names our own file
        reason = f"the image cannot be decoded as {original.format}{told}"
        raise InvalidFileTypeException(reason, rule="image_damaged") from error


def _can(name: str) -> bool:
    """Load the plugin of a format, as Pillow's own search would load those of all; False if Pillow is too old."""
    if name in {"avif", "webp"} and not features.check(name):
        return False
    import_module(f"PIL.{_PLUGINS[name]}")
    return True


def _seek(image: Any, page: int, limits: ImageLimits) -> None:
    """Go to one frame; a camera's JPEG may have more, but is no document."""
    limits.check_frames(page + 1, image.size)
    if page:
        try:
            image.seek(page)
        except EOFError as error:
            raise InvalidFileTypeException(f"the image has no page {page}, counted from 0") from error
        limits.check_pixels(image.size, f"page {page}")


def _all_frames(image: Any, limits: ImageLimits) -> Iterator[Any]:
    count = getattr(image, "n_frames", 1)
    limits.check_frames(count, image.size)
    for number in range(count):
        image.seek(number)
        yield image


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A frame that is decoded, and can be scaled.

    Attributes:
        image: Its pixels, which nobody changes.
        whole: The box of the whole frame in them: a draft may be smaller than what is stored, and not by whole pixels.
        profile: Its ICC profile.
    """

    image: Image.Image
    whole: Box
    profile: bytes | None


def _decoded(image: Any, original: Original, recipes: Iterable[Variant]) -> _Decoded:
    """Decode a frame, no larger than all recipes need it."""
    size = image.size
    whole: Box = (0.0, 0.0, float(size[0]), float(size[1]))
    if size != original.size.raw_dimensions:
        raise InvalidFileTypeException(
            f"the first page has {original.size.raw_dimensions} pixels, not {size}", rule="image_damaged"
        )
    profile = image.info.get("icc_profile")
    if image.format in {"JPEG", "MPO"}:
        scale = max(_scale(original, recipe) for recipe in recipes) * _GAP
        if drafted := image.draft(None, (size[0] * scale, size[1] * scale)):
            whole = drafted[1]
    image.load()
    return _Decoded(resizable(image), whole, profile)


def _scale(original: Original, recipe: Variant) -> float:
    """The size of a variant by that of the part of the original that it shows, in the direction where it is larger."""
    plan = recipe.plan(original.size)
    box = lying(plan.box, original.size.dimensions, original.size.orientation)
    return max(a / b for a, b in zip(_lying_size(original, plan), (box[2] - box[0], box[3] - box[1]), strict=True))


def _lying_size(original: Original, plan: Plan) -> tuple[int, int]:
    return (plan.size[1], plan.size[0]) if original.size.orientation >= 5 else plan.size


class _Maker:
    """Makes the frames of one variant."""

    def __init__(self, original: Original, recipe: Variant, image_format: ImageFormat) -> None:
        self._original = original
        self._recipe = recipe
        self._format = image_format
        self._plan: Plan | None = None

    def made(self, frame: _Decoded) -> Image.Image:
        """A frame of the variant."""
        plan = self._plan = self._plan or self._planned(frame.image)
        made = self._upright(to_srgb(self._resized(frame.image, plan, frame.whole), frame.profile))
        if self._recipe.sharpen:
            made = made.filter(ImageFilter.UnsharpMask(1.0, round(100 * self._recipe.sharpen), 1))
        return self._on_canvas(made, plan)

    def _upright(self, image: Image.Image) -> Image.Image:
        turn = _TURNS.get(self._original.size.orientation)
        return image if turn is None else image.transpose(turn)

    def _planned(self, image: Image.Image) -> Plan:
        if self._recipe.crop != "entropy":
            return self._recipe.plan(self._original.size)
        scale = min(1.0, detail.LARGEST / max(image.size))
        small = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BOX)
        small = self._upright(to_srgb(small, None)).convert("L")
        wanted = self._recipe.plan(self._original.size).size
        return self._recipe.plan(self._original.size, detail.detailed_point(*small.size, small.tobytes(), wanted))

    def _resized(self, image: Image.Image, plan: Plan, whole: Box) -> Image.Image:
        """The part of the stored image, at its size; a draft is smaller than what is stored."""
        stored = self._original.size.raw_dimensions
        box = lying(plan.box, self._original.size.dimensions, self._original.size.orientation)
        drafted = (whole[2] / stored[0], whole[3] / stored[1])
        scaled = (
            max(box[0] * drafted[0], 0.0),
            max(box[1] * drafted[1], 0.0),
            min(box[2] * drafted[0], image.width),
            min(box[3] * drafted[1], image.height),
        )
        size = _lying_size(self._original, plan)
        if scaled == (0.0, 0.0, *size) and image.size == size:
            return image
        if image.mode != "RGBA":
            return image.resize(size, Image.Resampling.LANCZOS, scaled, _GAP)
        # multiplied by the alpha, as hidden colours must not bleed; Pillow would do that by itself, but without the gap
        return image.convert("RGBa").resize(size, Image.Resampling.LANCZOS, scaled, _GAP).convert("RGBA")

    def _on_canvas(self, image: Image.Image, plan: Plan) -> Image.Image:
        background = self._recipe.background
        if self._recipe.fit == "contain":
            image = _placed(image, plan, background if background or self._format.has_alpha else "#ffffff")
        image = image if self._format.has_alpha else flattened(image, background or "#ffffff")
        image = image.copy()  # of a frame that goes on to the next
        image.info = {}  # what is in there would be saved
        return image


def _placed(image: Image.Image, plan: Plan, background: str | None) -> Image.Image:
    """The image in the middle of a background, None for nothing."""
    mask = image.getchannel("A") if image.mode == "RGBA" else None
    if background is None:
        canvas = Image.new("RGBA", plan.canvas, (0, 0, 0, 0))
        canvas.paste(image, plan.place)
        return canvas
    canvas = Image.new("RGB", plan.canvas, background)
    canvas.paste(image, plan.place, mask)
    return canvas


def _options(image: Any, recipe: Variant, image_format: ImageFormat) -> dict[str, Any]:
    """Options of Pillow's `save`."""
    options: dict[str, Any] = {}
    if image_format.quality is not None:
        options["quality"] = recipe.quality or image_format.quality
    if image_format.name == "avif":
        options["max_threads"] = 1  # the pool has one process for each CPU
    if recipe.animated and image_format.has_frames:
        options["loop"] = int(image.info.get("loop", 1))
    if (
        not recipe.strip
        and (exif := _exif(image))
        and (image_format.name != "jpeg" or len(exif) <= _LONGEST_EXIF_OF_JPEG)
    ):
        options["exif"] = exif
    return options


def _exif(image: Any) -> bytes:
    """The EXIF block without the orientation, which was applied, and without the thumbnail of another image."""
    exif = image.getexif()
    exif.pop(_ORIENTATION, None)
    try:
        return exif.tobytes() if exif else b""
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error):  # values of the wrong kind
        return b""
