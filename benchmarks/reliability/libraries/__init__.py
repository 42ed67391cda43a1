"""The libraries, each at its best; each is imported when it is asked for."""

from importlib import import_module

from benchmarks.reliability.library import Library

LIBRARIES = {
    "advanced-alchemy": "peer_advanced_alchemy:AdvancedAlchemy",
    "sqlalchemy-file": "peer_sqlalchemy_file:SqlalchemyFile",
    "ours, level 1": "ours:Tracking",
    "ours, level 2": "ledger:Ledger",
}


def find(name: str) -> type[Library]:
    """The adapter of a library.

    Raises:
        ImportError: It is not installed.
    """
    module, _, class_ = LIBRARIES[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), class_)
