"""Scanning files for malware: the verdicts of a scanner, clamd as one, and a quarantine that uses them."""

from importlib import import_module
from typing import Any

_VERDICTS = {"Clean", "Infected", "Scanner", "Unscanned", "Verdict"}


def __getattr__(name: str) -> Any:
    """Find the names that were here while this was one module."""
    if name not in _VERDICTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.verdicts"), name)
