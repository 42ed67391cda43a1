"""The old path of `async_storages.scanning.clamd`."""

from warnings import warn

from async_storages.scanning.clamd import ClamdScanner

__all__ = ["ClamdScanner"]

warn(
    "async_storages.backends.clamd has moved: import ClamdScanner from async_storages",
    DeprecationWarning,
    stacklevel=2,
)
