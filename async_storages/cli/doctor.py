"""The checks of ``async-storages doctor``."""

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from async_storages import LocalStorage
from async_storages.errors import StorageException

if TYPE_CHECKING:
    from async_storages.backends.s3.capabilities import Capability

__all__ = ["Step", "capabilities_table", "extras_table", "steps_table", "try_s3", "try_storage"]

DISTRIBUTION = "sqlalchemy-async-storages"
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?([^;]*);.*extra == ['\"](\w+)['\"]")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trial, and the error that ended it."""

    name: str
    error: StorageException | None


def extras_table() -> Table:
    """Each extra with its packages, and the installed versions."""
    table = Table("extra", "needs", "installed", title=f"{DISTRIBUTION} {version(DISTRIBUTION)}", title_justify="left")
    for requirement in requires(DISTRIBUTION) or []:
        found = _REQUIREMENT.match(requirement)
        if found and found[1] != DISTRIBUTION and found[3] != "all":
            table.add_row(found[3], f"{found[1]}{found[2].strip()}", _installed(found[1], found[3]))
    return table


def _installed(package: str, extra: str) -> str:
    try:
        return f"[green]{version(package)}[/]"
    except PackageNotFoundError:
        return f"[yellow]no:[/] pip install {escape(f'"{DISTRIBUTION}[{extra}]"')}"


async def try_storage(root: Path) -> list[Step]:
    """Write, read, stat and delete one small file; stops at the first step that fails."""
    key, content = f"doctor-{secrets.token_hex(8)}.txt", secrets.token_bytes(64)
    steps: list[Step] = []
    async with LocalStorage(root) as storage:

        async def read() -> None:
            if await storage.read(key) != content:
                raise StorageException("other bytes came back", operation="read", file_id=key)

        tasks: dict[str, Callable[[], Awaitable[object]]] = {
            "write": lambda: storage.upload(content, key),
            "read": read,
            "stat": lambda: storage.stat(key),
            "delete": lambda: storage.delete(key),
        }
        for name, task in tasks.items():
            steps.append(await _attempt(name, task))
            if steps[-1].error is not None:
                break
    return steps


async def _attempt(name: str, task: Callable[[], Awaitable[object]]) -> Step:
    try:
        await task()
    except StorageException as error:
        return Step(name, error)
    return Step(name, None)


def steps_table(root: Path, steps: list[Step]) -> Table:
    """The steps and their results."""
    table = Table("step", "result", title=escape(str(root)), title_justify="left")
    for step in steps:
        table.add_row(step.name, "[green]ok[/]" if step.error is None else f"[red]{escape(str(step.error))}[/]")
    return table


async def try_s3(bucket: str, endpoint_url: str | None, region: str | None) -> "list[Capability]":
    """Try the abilities of an S3 server; credentials are found as every AWS tool finds them.

    Raises:
        StorageException: The server cannot be reached, or refuses everything.
    """
    from async_storages.backends.s3.capabilities import capabilities  # noqa: PLC0415 - needs an extra
    from async_storages.backends.s3.storage import S3Storage  # noqa: PLC0415

    async with S3Storage(bucket, endpoint_url=endpoint_url, region_name=region) as storage:
        await storage.ping()
        return await capabilities(storage)


def capabilities_table(bucket: str, found: "list[Capability]") -> Table:
    """The server's abilities, and the trials that failed."""
    table = Table("capability", "server", title=escape(f"s3:{bucket}"), title_justify="left")
    for each in found:
        table.add_row(each.name, f"[red]{escape(each.found)}[/]" if each.is_failure else escape(each.found))
    return table
