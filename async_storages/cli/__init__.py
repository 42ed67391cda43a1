"""The command ``async-storages``, also ``python -m async_storages``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; says what to install where its libraries are missing."""
    try:
        from async_storages.cli.app import app  # noqa: PLC0415 - so that a missing extra gives a sentence, not a trace
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit('the command line needs its extra: run  pip install "sqlalchemy-async-storages[cli]"')
    app()
