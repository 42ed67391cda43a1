"""Names that have moved to another module. The old module still finds them, with a DeprecationWarning."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from warnings import warn

__all__ = ["moved_names"]


def moved_names(module: str, names: Mapping[str, str], *, stacklevel: int = 2) -> Callable[[str], Any]:
    """Return a `__getattr__` for the old module of moved names.

    Args:
        module: The ``__name__`` of the old module.
        names: Each old name with its new module and name, for example ``{"Clean": "scanning.verdicts:Clean"}``.
        stacklevel: The stack level of the warning. Use 3 if the module's own ``__getattr__`` calls the result.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - it becomes the module's
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new_name = names[name].partition(":")
        warn(
            f"{module}.{name} has moved: use  from async_storages import {new_name}",
            DeprecationWarning,
            stacklevel=stacklevel,
        )
        return getattr(import_module(f"async_storages.{home}"), new_name)

    return __getattr__
