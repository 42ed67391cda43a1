"""Making the variants of an original in a temporary folder, and storing them beside it."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from async_storages._cleanup import UNDO_WITHIN, clean_up
from async_storages._tasks import map_bounded, offload
from async_storages.content import Content, ContentOptions, as_content
from async_storages.errors import OperationNotSupportedException
from async_storages.ids import FileId
from async_storages.images.recipes import Variant
from async_storages.imaging.pool import ImagePool
from async_storages.sinks import write_to
from async_storages.sources import ByteSource
from async_storages.storage.base import FileName, Storage
from async_storages.upload_options import NO_OPTIONS, UploadOptions
from async_storages.variants.keys import complete_recipe, slave_prefix, variant_extension, variant_id
from async_storages.variants.removal import KeepsSlaves
from async_storages.variants.temporary import temporary_folder

__all__ = [
    "AT_ONCE",
    "NewVariants",
    "close_shared_pool",
    "make_variants",
    "new_variants",
    "require_room",
    "shared_pool",
]

AT_ONCE = 4
"""The largest number of variants of one original to store at the same time."""


@cache
def shared_pool() -> ImagePool:
    """Return the default pool. Its processes end with the event loop that uses it, or with `close_shared_pool`."""
    return ImagePool()


async def close_shared_pool() -> None:
    """End the processes of the shared pool for this event loop."""
    await shared_pool().aclose()


def require_room(storage: Storage, key: str, recipes: Mapping[str, Variant]) -> None:
    """Check, before anything is written, that the storage can keep the variants of an original.

    Args:
        storage: The storage.
        key: The key of the original. A storage that chooses its ids ignores it.
        recipes: The recipes of the variants.

    Raises:
        OperationNotSupportedException: The storage chooses its ids, and cannot keep variants beside an original.
        InvalidArgumentException: The key is too long.
    """
    if storage.chooses_ids:
        if recipes and not isinstance(storage, KeepsSlaves):
            raise OperationNotSupportedException(
                f"{type(storage).__name__} chooses its ids, so nobody could find variants in it: leave them out"
            )
        return
    for name, recipe in recipes.items():
        variant_id(storage.identify(key), name, recipe)


@dataclass(frozen=True, slots=True)
class _Made:
    path: Path
    recipe: Variant
    content_type: str


class NewVariants:
    """Makes the variants of one original and stores them: first `take`, `use` or `fetch`, then `make`, then `store`.

    Args:
        folder: An empty folder for temporary files.
        recipes: The recipes by name.
        pool: The pool that makes the images.
        original_name: The name of the original. Its extension tells the format.
        with_placeholder: True lets `make` also make the placeholder.

    Attributes:
        placeholder: The ThumbHash. None until `make` has made it.
    """

    def __init__(
        self,
        folder: Path,
        recipes: Mapping[str, Variant],
        pool: ImagePool,
        original_name: str,
        *,
        with_placeholder: bool = False,
    ) -> None:
        self._folder = folder
        self._recipes = recipes
        self._pool = pool
        self._original_name = original_name
        self._with_placeholder = with_placeholder
        self._original = folder / "original"
        self._made: dict[str, _Made] = {}
        self.placeholder: str | None = None

    def use(self, path: Path) -> None:
        """Use a local file as the original. It stays where it is."""
        self._original = path

    async def take(self, content: object, source: ByteSource, max_size: int | None = None) -> Path:
        """Use content as the original, and return the path of a file with it. Content that is not a file is copied.

        Args:
            content: The content. A path is used directly.
            source: The content as a byte source.
            max_size: The largest size in bytes.

        Raises:
            FileTooLargeException: The content has more than `max_size` bytes.
            InvalidArgumentException: The content cannot be read.
        """
        if isinstance(content, os.PathLike) and await offload(os.path.isfile, content):
            self.use(Path(content))
        else:
            async with Content(source, max_size=max_size) as body:
                await write_to(aiter(body), self._original)
        return self._original

    async def fetch(self, storage: Storage, original: FileName) -> None:
        """Download the original from its storage.

        Raises:
            FileNotFoundException: The original is missing.
        """
        await storage.download_to(original, self._original)

    async def make(self) -> None:
        """Make all variants, and the placeholder if `with_placeholder` is True.

        Raises:
            InvalidFileTypeException: The original is not an image of an allowed format, or is damaged.
            ImageProcessingException: It took too much time or memory.
        """
        if self._with_placeholder:
            self.placeholder = await self._pool.placeholder(self._original)
        targets = {name: self._folder / f"{name}.made" for name in self._recipes}
        wanted = {targets[name]: complete_recipe(each, self._original_name) for name, each in self._recipes.items()}
        made = await self._pool.make_many(self._original, wanted)
        for (name, recipe), image in zip(self._recipes.items(), made, strict=True):
            self._made[name] = _Made(targets[name], recipe, image.content_type)

    async def store(self, storage: Storage, original: FileName, options: UploadOptions | None = None) -> None:
        """Store all variants, or none.

        Args:
            storage: The storage of the original.
            original: The original. It exists already.
            options: The upload options of the original. The variants do not get its ``content_disposition``.

        Raises:
            StorageException: A variant could not be stored, or already exists. The stored ones are deleted again.
        """
        stored: list[str] = []
        file = storage.identify(original)

        async def put(name: str) -> None:
            stored.append(await self.store_one(name, storage, file, options))

        try:
            await map_bounded(put, self._made, limit=AT_ONCE)
        except BaseException as error:
            if stored:
                await clean_up(storage.delete_many(stored), error, within=UNDO_WITHIN, what="variants that were stored")
            raise

    async def store_one(
        self,
        name: str,
        storage: Storage,
        original: FileId,
        options: UploadOptions | None = None,
        *,
        overwrite: bool = False,
    ) -> str:
        """Store one variant, and return its id. The arguments are those of `store`.

        Raises:
            FileExistsException: The variant exists and `overwrite` is False.
            StorageException: The variant could not be stored.
        """
        made = self._made[name]
        served = replace(options or NO_OPTIONS, content_disposition=None)
        described: ContentOptions = {"content_type": made.content_type, "options": served}
        target = variant_id(original, name, made.recipe)
        if isinstance(storage, KeepsSlaves):
            if overwrite:
                await storage.delete(target)
            filename = f"{name}.{variant_extension(made.recipe, original.key)}"
            prefix = slave_prefix(name, made.recipe)
            return (await storage.save_slave(made.path, original, prefix, filename, **described)).file_id
        async with as_content(made.path, target.key.rpartition("/")[2], described) as content:
            return await storage.write(content, target, overwrite=overwrite)


@asynccontextmanager
async def new_variants(
    recipes: Mapping[str, Variant], pool: ImagePool, original_name: str, *, with_placeholder: bool = False
) -> AsyncGenerator[NewVariants]:
    """Yield `NewVariants` with a temporary folder, and remove the folder at the end. Arguments are as for the class."""
    opened = ExitStack()
    try:
        folder = await offload(lambda: Path(opened.enter_context(temporary_folder())))
        yield NewVariants(folder, recipes, pool, original_name, with_placeholder=with_placeholder)
    finally:
        await offload(opened.close)


async def make_variants(
    storage: Storage,
    original: FileName,
    content: Path,
    recipes: Mapping[str, Variant],
    *,
    pool: ImagePool,
    options: UploadOptions | None = None,
) -> None:
    """Make and store all variants of a stored original, or none.

    Args:
        storage: The storage of the original.
        original: The original.
        content: The path of a local file with the content of the original.
        recipes: The recipes by name.
        pool: The pool that makes the images.
        options: The upload options of the original.

    Raises:
        InvalidFileTypeException: The content is not an image of an allowed format, or is damaged.
        ImageProcessingException: It took too much time or memory.
        StorageException: A variant could not be stored, or already exists.
    """
    file = storage.identify(original)
    require_room(storage, storage.bare_key(file), recipes)
    async with new_variants(recipes, pool, file.key) as variants:
        variants.use(content)
        await variants.make()
        await variants.store(storage, file, options)
