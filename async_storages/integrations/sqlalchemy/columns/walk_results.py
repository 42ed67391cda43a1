"""The common part of the results of functions that read all rows of a file column."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from async_storages.errors import FileNotFoundException, StorageException

__all__ = ["WalkedRows", "with_reason"]

_MOST_IDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkedRows:
    """The progress and the result of a walk over the rows.

    Attributes:
        rows: The number of rows read.
        missing: Ids of files that do not exist, up to 1,000 of them.
        failed: Ids of files that could not be read, with the reason, up to 1,000 of them.
    """

    rows: int = 0
    missing: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def with_error(self, file_id: str, error: StorageException) -> Self:
        """Return the result with one more file that is missing or could not be read."""
        if isinstance(error, FileNotFoundException):
            return replace(self, missing=(*self.missing, file_id)[:_MOST_IDS])
        return replace(self, failed=with_reason(self.failed, file_id, str(error)))


def with_reason(told: Mapping[str, str], file_id: str, reason: str) -> Mapping[str, str]:
    """Return the ids and reasons with one more, up to 1,000 of them."""
    return {**told, file_id: reason} if len(told) < _MOST_IDS else told
