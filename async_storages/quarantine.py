"""The old path of `async_storages.scanning.quarantine`."""

from warnings import warn

from async_storages.scanning.quarantine import QuarantineReview as Review
from async_storages.scanning.quarantine import review_quarantined_file as review

__all__ = ["Review", "review"]

warn(
    "async_storages.quarantine has moved: use  from async_storages import QuarantineReview, review_quarantined_file",
    DeprecationWarning,
    stacklevel=2,
)
