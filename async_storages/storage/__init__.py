"""The contract of storages: the base class, the capabilities, and helpers for backends.

`base` has `Storage`. `contract` has the five methods that a backend implements. `capabilities` has the Protocols of
abilities that only some storages have. `presigning` and `folders` have base classes that add one capability each.
`operation` has the code around each operation.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from async_storages._moved import moved_names

if TYPE_CHECKING:
    from async_storages.storage.base import FileName, Storage

__all__ = ["FileName", "Storage"]

_POWERS = (
    *("PresignMethod", "PresignOptions", "SupportsCopy", "SupportsDirectUpload", "SupportsFolders", "SupportsList"),
    *("SupportsMetadata", "SupportsPing", "SupportsPresign"),
)
_moved = moved_names(
    __name__,
    {
        "byte_range": "storage.byte_ranges:byte_range",
        "check_presign_method": "storage.presigning:check_presign_method",
        **{name: f"storage.capabilities:{name}" for name in _POWERS},
    },
    stacklevel=3,
)


def __getattr__(name: str) -> Any:
    """Import a name at its first use, because `base` imports modules that import from this package."""
    return getattr(import_module(f"{__name__}.base"), name) if name in __all__ else _moved(name)
