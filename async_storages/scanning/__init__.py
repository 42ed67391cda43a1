"""Scanning files for malware: the verdicts of a scanner, clamd as one, and a quarantine that uses them."""

from async_storages._moved import moved_names

__getattr__ = moved_names(
    __name__,
    {name: f"scanning.verdicts:{name}" for name in ("Clean", "Infected", "Scanner", "Unscanned", "Verdict")},
)
