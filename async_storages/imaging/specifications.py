"""Engines and previewers as JSON: the class by its name, and its fields. A worker makes its own of it."""

from dataclasses import asdict, is_dataclass
from importlib import import_module
from typing import Any

from async_storages.errors import InvalidArgumentException

__all__ = ["loaded", "specified"]


def specified(thing: object) -> list[Any]:
    """The module, the class and the fields of a dataclass instance.

    Raises:
        InvalidArgumentException: It is no instance of a dataclass that another process can import.
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
    """An object like the one that was specified."""
    module, name, fields = specification
    return getattr(import_module(module), name)(**fields)
