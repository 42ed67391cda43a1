"""The old path of `async_storages.scanning.quarantine`."""

from warnings import warn

from async_storages.scanning.quarantine import Review, review

__all__ = ["Review", "review"]

warn(
    "async_storages.quarantine has moved: import Review, review from async_storages",
    DeprecationWarning,
    stacklevel=2,
)
