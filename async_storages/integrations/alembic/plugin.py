"""The plugin that Alembic 1.18 and newer load at every start, by the entry point.

It does almost nothing, because a failure or a delay here would affect every Alembic command. It imports the other
modules, for example `async_storages.integrations.alembic.rendering`, at their first use.
"""

from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["NAME", "plugin", "setup"]

NAME = "alembic.autogenerate.async_storages"
"""The name for Alembic's option `autogenerate_plugins`."""

_PACKAGE = "async_storages.integrations.alembic"
_OPERATIONS = {
    "normalise_file_ids": "normalise_file_ids",
    "create_file_ledger": "ledger_tables",
    "drop_file_ledger": "ledger_tables",
    "forget_file_columns": "ledger_tables",
}


def setup(plugin: Any) -> None:
    """Set up an `alembic.runtime.plugins.Plugin`. When Alembic calls this, its own import is not finished."""
    from alembic.operations import Operations  # noqa: PLC0415 - see above
    from alembic.util import DispatchPriority  # noqa: PLC0415 - see above

    plugin.add_autogenerate_comparator(_compare, "schema", "async_storages", priority=DispatchPriority.LAST)
    for name in _OPERATIONS:
        Operations.register_operation(name, "call")(_deferred(name))


def _compare(*args: Any) -> None:
    import_module(f"{_PACKAGE}.rendering").compare(*args)


def _deferred(name: str) -> type[Any]:
    """Return an operation that imports the real one, which replaces it, and then calls the real one."""

    class Deferred:
        @classmethod
        def call(cls, operations: Any, *args: Any, **options: Any) -> Any:
            import_module(f"{_PACKAGE}.{_OPERATIONS[name]}")
            return getattr(operations, name)(*args, **options)

    return Deferred


class _Plugin(ModuleType):
    """The object of the entry point. Alembic 1.20.1 takes a module; 1.18.0 to 1.20.0 iterate over modules."""

    setup = staticmethod(setup)

    def __iter__(self) -> Iterator[ModuleType]:
        yield self


plugin = _Plugin(__name__)
