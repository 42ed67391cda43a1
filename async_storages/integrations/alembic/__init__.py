"""File columns and the ledger's tables in Alembic's migrations.

Alembic 1.18 and newer load the plugin of this package by themselves. With an older Alembic, add two lines to env.py:

```python
from async_storages.integrations import alembic as file_columns

file_columns.enable()
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from async_storages.integrations.alembic.rendering import enable, render_item

__all__ = ["enable", "render_item"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: Alembic imports this package at each start and needs only `plugin`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.rendering"), name)


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return __all__
