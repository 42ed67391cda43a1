"""The old path of `async_storages.backends.transport.http`."""

from warnings import warn

from async_storages.backends.transport.http import HttpOptions

__all__ = ["HttpOptions"]

warn(
    "async_storages.backends.http has moved: import HttpOptions from async_storages",
    DeprecationWarning,
    stacklevel=2,
)
