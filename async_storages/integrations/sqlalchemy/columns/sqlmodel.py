"""Mapped classes that are pydantic models as well, such as SQLModel's tables."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm.attributes import set_attribute

from async_storages.files import StoredImage
from async_storages.integrations.sqlalchemy.columns.types import ImageType

__all__ = ["hold_what_was_made"]


def hold_what_was_made(class_: type[Any], names: Collection[str], images: Mapping[str, ImageType]) -> None:
    """Have models of the class hold the file objects that listeners make of what is assigned.

    `SQLModel.__setattr__` hands a value to SQLAlchemy, and then puts the value itself in the place of what was made of
    it. Its constructor assigns the default of every field in their order: a width of None after the image that told it.

    Args:
        class_: A mapped class; nothing is done if it is no model.
        names: Its attributes that hold files.
        images: Those of them that tell their dimensions.
    """
    if not hasattr(class_, "__pydantic_validator__"):
        return
    sides = {side: (key, i) for key, type_ in images.items() for i, side in enumerate((type_.width, type_.height))}
    own = vars(class_).get("__setattr__")

    def assign(self: Any, name: str, value: Any) -> None:
        if name in names:
            set_attribute(self, name, value)
            value = vars(self)[name]
        elif name in sides and value is None:
            value = _known_side(self, *sides[name])
        if own is None:
            super(class_, self).__setattr__(name, value)
        else:
            own(self, name, value)

    type.__setattr__(class_, "__setattr__", assign)


def _known_side(model: Any, image_name: str, index: int) -> int | None:
    """What the image of a new row has told; a row that exists may be given None."""
    image = vars(model).get(image_name)
    known = image.known_dimensions if isinstance(image, StoredImage) else None
    return known[index] if known and not inspect_object(model).has_identity else None
