"""The user's objects that a command works with. ``--app``, or else pyproject.toml, says where they are."""

import inspect
import sys
import tomllib
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from async_storages.errors import InvalidArgumentException

__all__ = ["AppPath", "configured_app", "imported", "made"]

type AppPath = str
"""``module:object``."""


def configured_app(said: AppPath | None) -> AppPath | None:
    """Return the path in ``--app``, or else in ``[tool.async_storages]`` of the nearest pyproject.toml, or None.

    Raises:
        InvalidArgumentException: The file pyproject.toml cannot be read, or the section is wrong.
    """
    if said is not None:
        return said
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and (section := _section(file)) is not None:
            app = section.get("app")
            if not isinstance(app, str):
                raise InvalidArgumentException(f'{file}: [tool.async_storages] needs a line  app = "module:object"')
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
            return app
    return None


def _section(file: Path) -> dict[str, Any] | None:
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("async_storages")
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidArgumentException(f"{file} cannot be read: {error}") from None
    return section if section is None or isinstance(section, dict) else {}


def imported(path: AppPath) -> Any:
    """Import the object at ``module:name.name``. The module may be in the current folder.

    Raises:
        InvalidArgumentException: There is no such module or object.
    """
    module, separator, names = path.partition(":")
    if not (separator and module and names):
        raise InvalidArgumentException(f"{path!r} is not of the form module:name, such as shop.models:Product.photo")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return attrgetter(names)(import_module(module))
    except Exception as error:  # the user's module may raise anything
        raise InvalidArgumentException(f"{path!r} cannot be imported: {type(error).__name__}: {error}") from error


async def made[Kind](found: Any, kind: type[Kind] | tuple[type[Kind], ...], path: AppPath) -> Kind:
    """Return the imported object. If it is a function, return the object that it makes.

    Args:
        found: The object, or a function without arguments that returns or awaits it.
        kind: The expected class, or several classes.
        path: ``module:object``, for the error.

    Raises:
        InvalidArgumentException: The object, or the function's result, has another class.
    """
    if not isinstance(found, kind) and _is_maker(found):
        try:
            found = found()
        except Exception as error:  # it is the user's
            raise InvalidArgumentException(f"{path!r} cannot be called: {type(error).__name__}: {error}") from error
    if inspect.isawaitable(found):
        found = await found
    if not isinstance(found, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(each.__name__.lstrip("_") for each in kinds)
        raise InvalidArgumentException(f"{path!r} is a {type(found).__name__}; this command needs a {wanted}")
    return found


def _is_maker(found: Any) -> bool:
    """True for functions, and for other objects that can be called without arguments. Not for ASGI applications."""
    if inspect.isroutine(found):
        return True
    if inspect.isclass(found) or not callable(found):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True
