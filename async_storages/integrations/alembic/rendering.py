"""Rendering of file columns in Alembic's migrations, as ``sa.Unicode(length=1024)``.

Such a migration imports neither this package nor a storage. It still runs after you move or remove the package. With
``context.configure(async_storages_render="class")`` the migration contains
``async_storages.integrations.sqlalchemy.FileType(length=1024)`` and its import.

Alembic 1.18 and newer call this module by `async_storages.integrations.alembic.plugin`. For an older Alembic, env.py
calls `enable`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Dialect
from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.alembic import plugin
from async_storages.integrations.sqlalchemy.columns.database_types import variants_of

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps

__all__ = ["compare", "enable", "render_item"]

type RenderItem = Callable[[str, Any, "AutogenContext"], str | Literal[False]]

_PACKAGE = "async_storages.integrations.sqlalchemy"
_OPTION = "async_storages_render"
# Not the dialects of drivers: they have types of their own, which cannot be written in a migration.
_DIALECTS: dict[str, type[Dialect]] = {"postgresql": PGDialect, "mysql": MySQLDialect, "mariadb": MySQLDialect}


def render_item(kind: str, item: Any, context: "AutogenContext") -> str | Literal[False]:
    """Render a file column's type as Python.

    The plugin calls this function after the `render_item` that env.py passes to ``context.configure``. If the plugin is
    switched off, pass this function there yourself, or call it in your own `render_item`.

    Args:
        kind: ``"type"``, ``"column"`` and so on: see `context.configure` in Alembic's documentation.
        item: The item to render.
        context: Alembic's context. The function adds the necessary imports to its `imports`.

    Returns:
        The Python expression. False for every other item, which Alembic then renders itself.

    Raises:
        InvalidArgumentException: The option ``async_storages_render`` of ``context.configure`` is neither ``"plain"``
            nor ``"class"``.
    """
    if kind != "type" or not _is_file_type(item):
        return False
    return _STYLES[_style(context)](item, context)


def _style(context: "AutogenContext") -> str:
    style: str = context.opts.get(_OPTION, "plain")
    if style not in _STYLES:
        raise InvalidArgumentException(f"{_OPTION} is 'plain' or 'class', not {style!r}", operation="autogenerate")
    return style


def _is_file_type(item: object) -> bool:
    return isinstance(item, TypeDecorator) and any(
        class_.__module__.startswith(f"{_PACKAGE}.") for class_ in type(item).__mro__
    )


def _render_plain(type_: TypeDecorator[Any], context: "AutogenContext") -> str:
    plain: TypeEngine[Any] = type_.impl_instance
    for name, variant in _variants(type_, context.dialect):
        plain = plain.with_variant(variant, name)
    rendered = _repr_type(plain, context)
    if "=Text()" in rendered:  # so Alembic writes PostgreSQL's JSONB while it is on another database
        context.imports.add("from sqlalchemy import Text")
    return rendered


def _variants(type_: TypeDecorator[Any], dialect: Dialect) -> Iterator[tuple[str, TypeEngine[Any]]]:
    """Return the types for certain databases: the user's variants and the type's own.

    PostgreSQL is always among them, because people often generate migrations on SQLite and run them on PostgreSQL.
    """
    chosen = variants_of(type_)
    yield from chosen.items()
    for name in sorted({"postgresql", dialect.name} & _DIALECTS.keys() - chosen.keys()):
        own = type_.load_dialect_impl(_DIALECTS[name]())
        if own is not type_.impl_instance:
            yield name, own


def _render_class(type_: TypeDecorator[Any], context: "AutogenContext") -> str:
    class_ = type(type_)
    public = getattr(import_module(_PACKAGE), class_.__name__, None) is class_
    module = _PACKAGE if public else class_.__module__
    context.imports.add(f"import {module}")
    arguments = f"length={type_.length!r}" if hasattr(type_, "length") else ""
    variants = sorted(variants_of(type_).items())
    written = [f".with_variant({_repr_type(variant, context)}, {name!r})" for name, variant in variants]
    return "".join((f"{module}.{class_.__qualname__}({arguments})", *written))


_STYLES = {"plain": _render_plain, "class": _render_class}


def _repr_type(type_: TypeEngine[Any], context: "AutogenContext") -> str:
    """Render a type as Alembic does, and add the imports that it needs."""
    from alembic.autogenerate import render  # noqa: PLC0415 - as for `enable`

    return render._repr_type(type_, context)  # noqa: SLF001 - there is no public one


# ---- registration


@dataclass(frozen=True, slots=True)
class _AfterOwn:
    """A `render_item` that calls the user's own first."""

    own: RenderItem

    def __call__(self, kind: str, item: Any, context: "AutogenContext") -> str | Literal[False]:
        rendered = self.own(kind, item, context)
        return render_item(kind, item, context) if rendered is False else rendered


def compare(context: "AutogenContext", upgrade: "UpgradeOps", _schemas: object) -> None:
    """Register `render_item`. Alembic calls this comparator after all others, before it writes the migration."""
    own = context.opts.get("render_item")
    if own is not render_item and not isinstance(own, _AfterOwn):
        context.opts["render_item"] = _AfterOwn(own) if own else render_item
    if _style(context) == "class":
        import_module(f"{__package__}.ledger_tables").collect_ledgers(upgrade.ops)


@cache
def enable() -> None:
    """Do the work of the plugin. Call it in the env.py of an Alembic older than 1.18.

    With a newer Alembic the call does no harm.

    Example:
        >>> from async_storages.integrations import alembic as file_columns
        >>> file_columns.enable()
    """
    try:
        from alembic.runtime.plugins import Plugin  # noqa: PLC0415 - this module needs Alembic only here
    except ImportError:
        from alembic.autogenerate import comparators  # noqa: PLC0415 - as above

        comparators.dispatch_for("schema")(compare)
        for module in ("ledger_tables", "normalise_file_ids"):
            import_module(f"{__package__}.{module}")
    else:
        with suppress(ValueError):  # the entry point has done it
            Plugin.setup_plugin_from_module(plugin.plugin, plugin.NAME)
