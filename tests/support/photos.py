"""Rows with an image that has variants, in a declarative base of their own, and images for them."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import MemoryStorage, PendingFile, StoredFile, StoredImage, Variant, Variants
from async_storages.integrations.sqlalchemy import FileMapped, FileType, ImageType
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
    placeholder: Mapped[str | None] = mapped_column(String(64))
    document: FileMapped[StoredFile | None] = mapped_column(FileType(UNUSED))


def keep_in(storage):
    """Let the columns use a storage."""
    for name in ("image", "document"):
        Photo.__table__.c[name].type.storage = storage


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
    """Let the column of images declare other variants."""
    type_ = Photo.__table__.c.image.type
    type_.variants = type_.storage_ref.variants = variants
