"""Rows with an image whose variants are made later than the upload, in a declarative base of their own."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import StoredImage, Variant, VariantLinks, Variants
from async_storages.integrations.sqlalchemy import FileMapped, ImageType
from tests.support.photos import UNUSED

LINKS = VariantLinks("/variants", "a secret of the tests")
RECIPES = Variants(
    thumb=Variant(20, 20, fit="cover", when="worker"),
    card=Variant(width=30, format="webp", when="worker"),
    large=Variant(width=50, format="png", when="request"),
)


class LaterBase(DeclarativeBase):
    pass


class LaterPhoto(LaterBase):
    __tablename__ = "later_photos"
    id: Mapped[int] = mapped_column(primary_key=True)
    image: FileMapped[StoredImage | None] = mapped_column(
        ImageType(UNUSED, width="width", height="height", variants=RECIPES, variant_links=LINKS)
    )
    width: Mapped[int | None]
    height: Mapped[int | None]


def keep_later_in(storage):
    """Let the column use a storage."""
    LaterPhoto.__table__.c.image.type.storage = storage


def linked(image, name):
    """The variant that its URL names."""
    url = LINKS.url(image, name, RECIPES[name]).removeprefix("/variants/")
    return LINKS.find(*url.split("/", 1))
