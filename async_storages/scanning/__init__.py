"""Scanning files for malware: verdicts, a scanner that uses clamd, and a quarantine."""

from async_storages._moved import moved_names

__getattr__ = moved_names(
    __name__,
    {name: f"scanning.verdicts:{name}" for name in ("Clean", "Infected", "Scanner", "Unscanned", "Verdict")},
)
