"""The command ``async-storages``, also ``python -m async_storages``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line. If a library is missing, print a sentence that says how to install it."""
    try:
        from async_storages.cli.app import app  # noqa: PLC0415 - a missing extra gives a sentence, not a trace
        from async_storages.cli.running import run_app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit('the command line needs its extra: run  pip install "sqlalchemy-async-storages[cli]"')
    run_app(app)
