"""The ids of variants. They depend only on the id of the original, the name and the recipe. No I/O.

```
photos/5f0c7a4be11c9d20_cat.png                                       an original
photos/variants/5f0c7a4be11c9d20_cat.png/thumb-27b8d212d269a88d.png   its variant, below the folder of the original: a
                                                                      storage limited to that folder has both
group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.png                   an original in FastDFS
group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654_thumb-3c5a09d1.png    its variant: a slave file
```
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b

from async_storages import sniff
from async_storages.errors import InvalidArgumentException
from async_storages.fastdfs_ids import FastDFSDetails, FileKind, slave_id
from async_storages.ids import FASTDFS, FileId
from async_storages.images.recipes import Variant

__all__ = [
    "check_recipes",
    "complete_recipe",
    "find_original",
    "folder_of",
    "is_variant",
    "slave_prefix",
    "variant_extension",
    "variant_id",
]

_FOLDER = "variants"
_LONGEST_KEY = 1024
_LONGEST_NAME = 32 + len("-0123456789abcdef.webp")
_OF_UPLOADS = "[0-9a-f]{16}_"
"""The beginning of the names that `save` makes. No name of a variant looks like this."""

_NAME = re.compile(rf"(?!{_OF_UPLOADS})[a-z][a-z0-9_]{{0,31}}-[0-9a-f]{{16}}\.(?:avif|jpg|png|webp)")
_HASHED = re.compile(r"~[0-9a-f]{32}")
_SLAVE = re.compile(r"_[a-z][a-z0-9_]{0,5}-[0-9a-f]{8}\.(?:avif|jpg|png|webp)\Z")


def check_recipes(recipes: Mapping[str, Variant], *, has_links: bool) -> None:
    """Refuse recipes that no column can have.

    Args:
        recipes: The recipes by name.
        has_links: True if the column has `variant_links`.

    Raises:
        InvalidArgumentException: A name looks like the key of an upload, or a variant has ``when="request"`` and the
            column has no links at which it is requested.
    """
    for name, recipe in recipes.items():
        if re.match(_OF_UPLOADS, name):
            raise InvalidArgumentException(f"{name!r} looks like the key of an upload: give the variant another name")
        if recipe.when == "request" and not has_links:
            raise InvalidArgumentException(
                f"the variant {name!r} has when='request', but the column has no URLs at which it is asked for: add "
                "variant_links=VariantLinks(…)"
            )


def complete_recipe(recipe: Variant, original_name: str) -> Variant:
    """Return the recipe with a format. A recipe without one gets the format for the extension of the original.

    Args:
        recipe: The recipe.
        original_name: The key of the original, or its last segment.

    Example:
        >>> complete_recipe(Variant(width=800), "scan.tiff").format
        'webp'
    """
    return recipe if recipe.format is not None else _completed(recipe, sniff.guess_by_name(original_name))


@lru_cache(maxsize=1024)
def _completed(recipe: Variant, content_type: str) -> Variant:
    chosen = recipe.format_for(content_type)
    has_quality, is_animated = chosen.quality is not None, recipe.animated and chosen.has_frames
    return replace(recipe, format=chosen.name, quality=recipe.quality if has_quality else None, animated=is_animated)


def variant_extension(recipe: Variant, original_name: str) -> str:
    """Return the extension of a variant, without a dot."""
    return recipe.format_for(sniff.guess_by_name(original_name)).extension


def variant_id(original: FileId, name: str, recipe: Variant) -> FileId:
    """Return the id of a variant.

    Args:
        original: The id of its original.
        name: The name of the variant.
        recipe: Its recipe.

    Raises:
        InvalidArgumentException: The folder of the original is so long that the key of a variant would be too long.

    Example:
        >>> str(variant_id(FileId.parse("mem:a/cat.png"), "thumb", Variant(200, 200, fit="cover")))
        'mem:a/variants/cat.png/thumb-9227287f9df8e43d.png'
    """
    extension = variant_extension(recipe, original.key)
    if original.scheme == FASTDFS:
        return replace(original, key=slave_id(original.key, slave_prefix(name, recipe), extension))
    folder = folder_of(original.key)
    if folder is None:
        raise InvalidArgumentException(
            f"the key is too long for variants, which need {_LONGEST_NAME} bytes more: choose a shorter folder",
            file_id=str(original),
        )
    return replace(original, key=f"{folder}{name}-{recipe.digest}.{extension}")


def slave_prefix(name: str, recipe: Variant) -> str:
    """Return the text of up to 16 characters that FastDFS adds to the id of the original.

    Args:
        name: The name of the variant. Its first six characters make the id readable.
        recipe: Its recipe.
    """
    digest = blake2b(f"{name}-{recipe.digest}".encode(), digest_size=4).hexdigest()
    return f"_{name[:6]}-{digest}"


def folder_of(original: str) -> str | None:
    """Return the folder of all variants of an original, with a slash at its end. None if their keys would be too long.

    Args:
        original: The key of the original. If necessary, a hash replaces its last segment.
    """
    folder, slash, name = original.rpartition("/")
    for segment in (name, f"~{blake2b(name.encode(), digest_size=16).hexdigest()}"):
        found = f"{folder}{slash}{_FOLDER}/{segment}/"
        if len(found.encode()) + _LONGEST_NAME <= _LONGEST_KEY:
            return found
    return None


def find_original(key: str) -> str | None:
    """Return the key of the original for the key of a variant. None for other keys, and for keys with a hash."""
    *folders, marker, name, variant = ["", "", *key.split("/")]
    if marker != _FOLDER or not name or not _NAME.fullmatch(variant) or _HASHED.fullmatch(name):
        return None
    return "/".join([*folders[2:], name])


def is_variant(file: FileId) -> bool:
    """Return True if an id is the id of a variant. Rows may name its original, but not the variant."""
    if file.scheme == FASTDFS:
        details = FastDFSDetails.parse(file.key) if _SLAVE.search(file.key) else None
        return details is not None and details.kind is FileKind.SLAVE
    *_, marker, _, name = ["", "", *file.key.split("/")]
    return marker == _FOLDER and _NAME.fullmatch(name) is not None
