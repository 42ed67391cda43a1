"""Engines and previewers as JSON: the name of the class, and its fields. A worker creates its own instance."""

from dataclasses import asdict, is_dataclass
from importlib import import_module
from typing import Any

from async_storages.errors import InvalidArgumentException

__all__ = ["loaded", "specified"]


def specified(thing: object) -> list[Any]:
    """Return the module, the class and the fields of a dataclass instance.

    Raises:
        InvalidArgumentException: The object is not a dataclass instance, or another process cannot import its class.
    """
    kind = type(thing)
    if not is_dataclass(thing) or isinstance(thing, type):
        raise InvalidArgumentException(f"an engine is an instance of a dataclass, not {thing!r}")
    if kind.__module__ == "__main__" or "." in kind.__qualname__:
        raise InvalidArgumentException(
            f"workers cannot import {kind.__module__}.{kind.__qualname__}: put the class into a module of its own"
        )
    return [kind.__module__, kind.__qualname__, asdict(thing)]


def loaded(specification: list[Any]) -> Any:
    """Return an object equal to the specified one."""
    module, name, fields = specification
    return getattr(import_module(module), name)(**fields)
