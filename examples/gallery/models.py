"""The table of photographs, and the files that it takes."""

import re
from pathlib import PurePath

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import FileValidator, ImageRules, StoredImage, Variant, Variants
from async_storages.integrations.sqlalchemy import FileMapped, ImageType

LONGEST_ALT = 200  # characters
LARGEST_FILE = 25_000_000  # bytes

TYPES = "image/jpeg,image/png,image/webp,image/gif,image/avif"  # for the dialog of the browser: names prove nothing

RULES = FileValidator(max_file_size=LARGEST_FILE, image=ImageRules(max_pixels=50_000_000))
VARIANTS = Variants(
    thumb=Variant(160, 160, fit="cover", format="webp"),
    card=Variant(width=800, format="webp", widths=(400, 1600)),
    large=Variant(width=2000, height=2000, format="webp"),
)


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photos"
    __mapper_args__ = {"confirm_deleted_rows": False}  # noqa: RUF012 - of two people who delete it neither is wrong

    id: Mapped[int] = mapped_column(primary_key=True)
    alt: Mapped[str] = mapped_column(String(LONGEST_ALT))
    image: FileMapped[StoredImage] = mapped_column(
        ImageType(
            "photos",
            folder="photos",
            validators=[RULES],
            variants=VARIANTS,
            width="width",
            height="height",
            placeholder="placeholder",
        ),
        index=True,
    )
    width: Mapped[int | None]
    height: Mapped[int | None]
    placeholder: Mapped[str | None]


def suggest_alt(file_name: str) -> str:
    """A description until somebody writes one.

    Example:
        >>> suggest_alt("Evening_at-the lake.jpg")
        'Evening at the lake'
    """
    return re.sub(r"[\s_-]+", " ", PurePath(file_name).stem).strip()[:LONGEST_ALT]
