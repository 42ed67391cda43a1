"""Options that several commands share."""

from typing import Annotated

import typer

__all__ = ["AppOption", "DatabaseOption", "JsonOption", "QuietOption", "YesOption"]

AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:OBJECT",
        help="Your StorageManager, Storage, FileLedger or engine, or a function that makes it, "
        "such as shop.files:ledger. By default `app` of \\[tool.async_storages] in pyproject.toml, or else the "
        "environment.",
        show_default=False,
    ),
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        metavar="URL|MODULE:ENGINE",
        help="The database: a URL with an asynchronous driver, or an AsyncEngine such as shop.db:engine.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
