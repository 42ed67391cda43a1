"""The old path of `async_storages.backends.transport.retries`."""

from warnings import warn

from async_storages.backends.transport.retries import Retries

__all__ = ["Retries"]

warn(
    "async_storages.backends.retries has moved: import Retries from async_storages",
    DeprecationWarning,
    stacklevel=2,
)
