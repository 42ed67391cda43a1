"""Rows with an image that has variants, in a declarative base of their own, and images for them."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import MemoryStorage, PendingFile, StoredFile, StoredImage, Variant, Variants
from async_storages.integrations.sqlalchemy import (
    FileList,
    FileListMapped,
    FileMapped,
    FileType,
    ImageListType,
    ImageType,
)
from tests.support.images import encode
from tests.support.tracked import TroubledStorage

RECIPES = Variants(
    thumb=Variant(20, 20, fit="cover"),
    card=Variant(width=30, format="webp"),
    large=Variant(width=50, format="png"),
)
SIZE = (64, 48)
UNUSED = MemoryStorage()


class PhotoBase(DeclarativeBase):
    pass


class Photo(PhotoBase):
    __tablename__ = "photos"
    id: Mapped[int] = mapped_column(primary_key=True)
    image: FileMapped[StoredImage | None] = mapped_column(
        ImageType(UNUSED, width="width", height="height", placeholder="placeholder", variants=RECIPES)
    )
    width: Mapped[int | None]
    height: Mapped[int | None]
    placeholder: Mapped[str | None] = mapped_column(String(100))
    document: FileMapped[StoredFile | None] = mapped_column(FileType(UNUSED))


class Gallery(PhotoBase):
    __tablename__ = "galleries"
    id: Mapped[int] = mapped_column(primary_key=True)
    images: FileListMapped[FileList[StoredImage]] = mapped_column(
        ImageListType(UNUSED, facts=("width", "height", "placeholder"), variants=RECIPES)
    )


def keep_in(storage):
    """Let the columns use a storage."""
    columns = Photo.__table__.c
    for column in (columns.image, columns.document, Gallery.__table__.c.images):
        column.type.storage = storage


def photo(name="cat.png", size=SIZE):
    """Content of an image column."""
    return PendingFile(encode("PNG", size), filename=name)


class PickyStorage(TroubledStorage):
    """Refuses and holds by the name of a variant, too."""

    async def _meet(self, operation, key):
        text = str(key)
        variant = text.rpartition("/")[2].partition("-")[0]
        await super()._meet(operation, f"_{variant}" if "variants/" in text else key)


def declare(variants):
    """Let the columns of images declare other variants."""
    for type_ in (Photo.__table__.c.image.type, Gallery.__table__.c.images.type.item_type):
        type_.variants = type_.storage_ref.variants = variants
