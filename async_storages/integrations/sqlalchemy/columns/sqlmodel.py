"""Mapped classes that are pydantic models as well, such as SQLModel's tables."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm.attributes import set_attribute

from async_storages.integrations.sqlalchemy.columns.fact_columns import known_fact

__all__ = ["keep_coerced_values"]


def keep_coerced_values(class_: type[Any], names: Collection[str], facts: Mapping[str, Mapping[str, str]]) -> None:
    """Make pydantic models keep the file objects that listeners make from assigned values.

    `SQLModel.__setattr__` passes a value to SQLAlchemy, and then overwrites the file object with the value itself. Its
    constructor assigns the defaults of all fields in order. A width of None can therefore follow the image that set the
    width.

    Args:
        class_: A mapped class. A class that is no pydantic model stays unchanged.
        names: Its attributes that hold files.
        facts: For attributes with sibling attributes, these attributes by fact.
    """
    if not hasattr(class_, "__pydantic_validator__"):
        return
    siblings = {name: (key, fact) for key, names in facts.items() for fact, name in names.items()}
    set_plainly = _setter_of(class_)

    def assign(self: Any, name: str, value: Any) -> None:
        if name in names:
            set_attribute(self, name, value)
            value = vars(self)[name]
        elif name in siblings and value is None:
            value = _known_to_new(self, *siblings[name])
        set_plainly(self, name, value)

    type.__setattr__(class_, "__setattr__", assign)


def _setter_of(class_: type[Any]) -> Callable[[Any, str, Any], None]:
    """Return the `__setattr__` of a class, or the next one in the method resolution order."""
    own: Callable[[Any, str, Any], None] | None = vars(class_).get("__setattr__")
    return own or (lambda model, name, value: super(class_, model).__setattr__(name, value))


def _known_to_new(model: Any, key: str, fact: str) -> Any:
    """Return a fact that the file of a new row knows; None for an existing row, which may contain None."""
    return None if inspect_object(model).has_identity else known_fact(vars(model).get(key), fact)
