"""The old path of `async_storages.integrations.alembic`."""

from warnings import warn

from async_storages.integrations.alembic import enable, render_item

__all__ = ["enable", "render_item"]

warn(
    "async_storages.integrations.sqlalchemy.alembic has moved: import async_storages.integrations.alembic",
    DeprecationWarning,
    stacklevel=2,
)
