"""Mapped classes that are pydantic models as well, such as SQLModel's tables."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm.attributes import set_attribute

from async_storages.files import StoredImage
from async_storages.integrations.sqlalchemy.columns.types import ImageType

__all__ = ["keep_coerced_values"]


def keep_coerced_values(class_: type[Any], names: Collection[str], images: Mapping[str, ImageType]) -> None:
    """Make pydantic models hold the file objects that listeners make of assigned values.

    `SQLModel.__setattr__` hands a value to SQLAlchemy, and then overwrites the file object with the value itself. Its
    constructor assigns the defaults of all fields in order: a width of None after the image that set it.

    Args:
        class_: A mapped class; one that is no pydantic model stays as it is.
        names: Its attributes that hold files.
        images: The types of those attributes that set their dimensions.
    """
    if not hasattr(class_, "__pydantic_validator__"):
        return
    sides = {side: (key, i) for key, type_ in images.items() for i, side in enumerate((type_.width, type_.height))}
    set_plainly = _setter_of(class_)

    def assign(self: Any, name: str, value: Any) -> None:
        if name in names:
            set_attribute(self, name, value)
            value = vars(self)[name]
        elif name in sides and value is None:
            value = _known_side(self, *sides[name])
        set_plainly(self, name, value)

    type.__setattr__(class_, "__setattr__", assign)


def _setter_of(class_: type[Any]) -> Callable[[Any, str, Any], None]:
    """The `__setattr__` of a class, or the next one by the order of an object's classes."""
    own: Callable[[Any, str, Any], None] | None = vars(class_).get("__setattr__")
    return own or (lambda model, name, value: super(class_, model).__setattr__(name, value))


def _known_side(model: Any, image_name: str, index: int) -> int | None:
    """The width or height that the image of a new row has set; None for a row that exists, which may have None."""
    image = vars(model).get(image_name)
    known = image.known_dimensions if isinstance(image, StoredImage) else None
    return known[index] if known and not inspect_object(model).has_identity else None
