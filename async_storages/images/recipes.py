"""Recipes of image variants. They describe how to make one image from another one; they make no image.

```python
recipes = Variants(thumb=Variant(200, 200, fit="cover"), card=Variant(width=800, format="webp"))
recipes["card"].size_of(ImageSize(4000, 3000))     # ImageSize(width=800, height=600, orientation=1)
```
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal

from async_storages.errors import InvalidArgumentException
from async_storages.images.formats import READABLE, WRITABLE, ImageFormat, TargetFormat
from async_storages.images.geometry import MAX_SIDE, Fit, Plan, fitted
from async_storages.images.size import ImageSize

__all__ = ["Crop", "Moment", "Variant", "Variants"]

type Crop = Literal["center", "entropy"] | tuple[float, float]
type Moment = Literal["flush", "worker", "request"]

_FITS = ("contain", "cover", "fill", "inside")
_MOMENTS = ("flush", "worker", "request")
_COLOUR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_STAYING = frozenset({"jpeg", "png", "webp"})
_SHARPEST = 5.0
_NOT_IN_BYTES = frozenset({"when", "widths"})
"""Options that do not change the bytes of a variant."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe for an image variant: it describes how to make one image from another one.

    Args:
        width: The width in pixels, 1 to 16,383. None computes it from the height. If both are None, the variant has the
            size of the original.
        height: The height in pixels, 1 to 16,383. None computes it from the width.
        fit: ``"inside"``: the whole image within this size, never enlarged. ``"cover"``: exactly this size, cropped.
            ``"contain"``: exactly this size, with the whole image in the middle of the background. ``"fill"``: exactly
            this size, stretched.
        format: The file format. None keeps JPEG, PNG and WebP, and converts all other formats to WebP.
        quality: The quality, 1 to 100. None uses the default of the format. PNG has no quality.
        background: The colour, ``"#rrggbb"``, that replaces transparency if the format has none. With ``"contain"``, it
            also surrounds the image. None means white, or transparent if the format has transparency.
        strip: True removes EXIF, XMP and comments. False keeps EXIF.
        sharpen: The strength of the sharpening, 0 to 5.
        crop: The part of the image that ``"cover"`` keeps: ``"center"`` for the middle, ``"entropy"`` for the part with
            the most detail, or a point such as ``(0.5, 0.2)``, each number from 0 to 1.
        page: The frame or page to use, from 0.
        animated: True keeps all frames if the format has animations.
        when: The moment at which the variant is made: ``"flush"`` with the upload, ``"worker"`` later by a worker, or
            ``"request"`` at the first request.
        widths: Further widths of the same image, for ``srcset``, each 1 to 16,383 pixels. `Variants` adds one variant
            for each: ``card=Variant(width=800, widths=(400,))`` declares ``card`` and ``card_400``.

    Raises:
        InvalidArgumentException: An option is out of range, or two options do not go together.

    Example:
        >>> Variant(200, 200, fit="cover").size_of(ImageSize(4000, 3000)).dimensions
        (200, 200)
    """

    width: int | None = None
    height: int | None = None
    fit: Fit = "inside"
    format: TargetFormat | None = None
    quality: int | None = None
    background: str | None = None
    strip: bool = True
    sharpen: float = 0.0
    crop: Crop = "center"
    page: int = 0
    animated: bool = False
    when: Moment = "flush"
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._check_size()
        self._check_choices()
        self._check_numbers()
        self._check_combinations()
        self._normalise()

    def _check_size(self) -> None:
        for name in ("width", "height"):
            side = getattr(self, name)
            if side is not None and not _is_whole(side, 1, MAX_SIDE):
                raise InvalidArgumentException(f"{name} is 1 to {MAX_SIDE} pixels, not {side!r}")
        if self.fit != "inside" and (self.width is None or self.height is None):
            raise InvalidArgumentException(f"fit={self.fit!r} needs a width and a height")
        widths = self.widths
        if not isinstance(widths, list | tuple) or not all(_is_whole(each, 1, MAX_SIDE) for each in widths):
            raise InvalidArgumentException(f"widths are numbers of 1 to {MAX_SIDE} pixels, not {widths!r}")

    def _check_choices(self) -> None:
        _check_one_of("fit", self.fit, _FITS)
        _check_one_of("format", self.format, (None, *WRITABLE))
        _check_one_of("when", self.when, _MOMENTS)
        for name in ("strip", "animated"):
            _check_one_of(name, getattr(self, name), (False, True))
        if self.background is not None and not _is_colour(self.background):
            raise InvalidArgumentException(f"background is a colour such as '#ffffff', not {self.background!r}")
        if not _is_point(self.crop):
            _check_one_of("crop", self.crop, ("center", "entropy"), "or a point such as (0.5, 0.2), each from 0 to 1")

    def _check_numbers(self) -> None:
        if self.quality is not None and not _is_whole(self.quality, 1, 100):
            raise InvalidArgumentException(f"quality is 1 to 100, not {self.quality!r}")
        if not _is_number(self.sharpen, _SHARPEST):
            raise InvalidArgumentException(f"sharpen is 0 to {_SHARPEST:.0f}, not {self.sharpen!r}")
        if not _is_whole(self.page, 0, 1 << 31):
            raise InvalidArgumentException(f"page is a number from 0 on, not {self.page!r}")

    def _check_combinations(self) -> None:
        if self.crop != "center" and self.fit != "cover":
            raise InvalidArgumentException(
                f"crop={self.crop!r} needs fit='cover': nothing is cropped with {self.fit!r}"
            )
        if self.quality is not None and self.format == "png":
            raise InvalidArgumentException("quality has no meaning for format='png', which loses nothing")
        if self.animated and self.page:
            raise InvalidArgumentException("animated keeps all frames, so page must be 0")
        if self.animated and self.format is not None and not WRITABLE[self.format].has_frames:
            raise InvalidArgumentException(f"animated needs format='webp' or None: {self.format!r} has one frame")

    def _normalise(self) -> None:
        """Give equal recipes equal values, because the digest depends on the values."""
        object.__setattr__(self, "sharpen", self.sharpen + 0.0)  # also -0.0 becomes 0.0
        object.__setattr__(self, "widths", tuple(sorted({*self.widths} - {self.width})))
        if self.background is not None:
            digits = self.background[1:].lower()
            object.__setattr__(
                self, "background", "#" + (digits if len(digits) == 6 else "".join(d * 2 for d in digits))
            )
        if not isinstance(self.crop, str):
            object.__setattr__(self, "crop", tuple(part + 0.0 for part in self.crop))

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits. Recipes that make the same bytes have the same digest, in all versions.

        The digest ignores options with default values, so options of later versions do not change it.
        """
        return _digest(self)

    def to_json(self, *, without: Collection[str] = ()) -> str:
        """Return the options that differ from their defaults, as JSON with sorted names.

        Args:
            without: The options to leave out.
        """
        named = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        told = {name: value for name, (value, default) in named.items() if value != default and name not in without}
        return json.dumps(told, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Variant":
        """Return the recipe that `to_json` wrote.

        Raises:
            InvalidArgumentException: The text is not a recipe.
        """
        try:
            options: dict[str, Any] = json.loads(text)
            if isinstance(options.get("crop"), list):
                options["crop"] = tuple(options["crop"])
            return cls(**options)
        except (AttributeError, TypeError, json.JSONDecodeError) as error:
            raise InvalidArgumentException(f"this is no recipe of a variant: {error}") from error

    def plan(self, original: ImageSize, focus: tuple[float, float] | None = None) -> Plan:
        """Return the steps from an original to its variant.

        Args:
            original: The size of the original.
            focus: The point to keep, with ``crop="entropy"``. It comes from the pixels of the original.
        """
        if focus is None:
            focus = (0.5, 0.5) if isinstance(self.crop, str) else self.crop
        return fitted(original.dimensions, (self.width, self.height), self.fit, focus)

    def size_of(self, original: ImageSize) -> ImageSize:
        """Return the exact size of the variant of an original."""
        return ImageSize(*self.plan(original).canvas)

    def format_for(self, content_type: str) -> ImageFormat:
        """Return the format of the variant of an original.

        Args:
            content_type: The content type of the original.

        Example:
            >>> Variant(width=800).format_for("image/gif").extension
            'webp'
        """
        if self.format is not None:
            return WRITABLE[self.format]
        kept = next((name for name in _STAYING if READABLE[name] == content_type), "webp")
        return WRITABLE["webp" if self.animated and kept == "png" else kept]

    def at_widths(self, widths: Iterable[int], original: ImageSize | None = None) -> tuple["Variant", ...]:
        """Return the same recipe in several widths, for ``srcset``, the narrowest first. Heights change in proportion.

        Args:
            widths: The widths in pixels, each 1 to 16,383.
            original: The size of the original. If given, the result has only one recipe for each resulting size.

        Raises:
            InvalidArgumentException: A width is out of range.
        """
        derived = {width: self._at_width(width) for width in widths}
        recipes = [derived[width] for width in sorted(derived)]
        if original is not None:
            recipes = list({recipe.size_of(original): recipe for recipe in reversed(recipes)}.values())[::-1]
        return tuple(recipes)

    def _at_width(self, width: int) -> "Variant":
        if self.width is None or self.height is None:
            return replace(self, width=width, widths=())
        if not _is_whole(width, 1, MAX_SIDE):
            raise InvalidArgumentException(f"width is 1 to {MAX_SIDE} pixels, not {width!r}")
        height = max(1, (2 * width * self.height + self.width) // (2 * self.width))
        return replace(self, width=width, height=height, widths=())


class Variants(Mapping[str, Variant]):
    """Recipes by name. A recipe with further `widths` adds one more recipe for each of them.

    Args:
        named: The recipes. A name has up to 32 lower-case letters, digits and underscores, and begins with a letter.

    Raises:
        InvalidArgumentException: A name is not valid, a value is not a `Variant`, or two recipes have one name.

    Example:
        >>> list(Variants(thumb=Variant(200, 200, fit="cover"), card=Variant(width=800, widths=(400, 1600))))
        ['thumb', 'card', 'card_400', 'card_1600']
    """

    __slots__ = ("_families", "_given", "_named")

    def __init__(self, **named: Variant) -> None:
        self._given = named
        self._named: dict[str, Variant] = {}
        self._families: dict[str, dict[str, Variant]] = {}
        for name, recipe in named.items():
            if not isinstance(recipe, Variant):
                raise InvalidArgumentException(f"{name} must be a Variant, not {recipe!r}")
            self._families[name] = _family(name, recipe)
            for own_name, own_recipe in self._families[name].items():
                _check_name(own_name)
                if any(each.get(own_name, own_recipe) != own_recipe for each in (named, self._named)):
                    raise InvalidArgumentException(
                        f"{own_name!r} is the name of a further width, and of another recipe: rename one of the two"
                    )
                self._named[own_name] = own_recipe

    def made_at(self, moment: Moment) -> "Variants":
        """Return the recipes that are made at this moment: ``"flush"``, ``"worker"`` or ``"request"``."""
        return Variants(**{name: recipe for name, recipe in self._named.items() if recipe.when == moment})

    def family(self, name: str) -> Mapping[str, Variant]:
        """Return the recipe with this name and the recipes of its further widths, by their names.

        Raises:
            InvalidArgumentException: No recipe has this name.
        """
        return self._families.get(name) or {name: self.recipe(name)}

    def recipe(self, name: str) -> Variant:
        """Return the recipe with this name.

        Raises:
            InvalidArgumentException: No recipe has this name.
        """
        try:
            return self._named[name]
        except KeyError:
            known = ", ".join(self._named) or "none"
            raise InvalidArgumentException(f"there is no variant {name!r}; there are: {known}") from None

    def __getitem__(self, name: str) -> Variant:
        return self._named[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def __hash__(self) -> int:
        return hash(frozenset(self._named.items()))

    def __repr__(self) -> str:
        return f"Variants({', '.join(f'{name}={recipe!r}' for name, recipe in self._given.items())})"


@lru_cache(maxsize=1024)
def _digest(recipe: Variant) -> str:
    return blake2b(recipe.to_json(without=_NOT_IN_BYTES).encode(), digest_size=8).hexdigest()


def _family(name: str, recipe: Variant) -> dict[str, Variant]:
    further = recipe.at_widths(recipe.widths)
    return {name: recipe} | {f"{name}_{width}": each for width, each in zip(recipe.widths, further, strict=True)}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidArgumentException(
            f"the name of a variant has up to 32 of a-z, 0-9 and _, a letter first: {name!r} is none"
        )


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: object, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _is_point(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_number(part, 1.0) for part in value)


def _is_colour(value: object) -> bool:
    return isinstance(value, str) and _COLOUR.fullmatch(value) is not None


def _check_one_of(name: str, value: object, choices: tuple[object, ...], more: str = "") -> None:
    if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in choices):
        shown = ", ".join(map(repr, choices))
        raise InvalidArgumentException(f"{name} is one of {shown}{more and ' '}{more}, not {value!r}")
