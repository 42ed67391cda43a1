"""The progress of ``async-storages migrate``, on a terminal: a bar, counts, speed, and the time that is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from async_storages.cli.units import size_text

__all__ = ["MoveProgress", "shown_counts", "shown_progress"]

_ENDS = ("moved", "gone", "missing", "failed")
"""Fields of a result that count files with which a run is done."""


class MoveProgress:
    """The counts of a command so far; called with each of its results.

    Args:
        progress: The display.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("…", total=None)

    def expect(self, files: int) -> None:
        """Show how much of this number of files is done."""
        self._progress.update(self._task, total=files)

    def __call__(self, done: Any) -> None:
        """Show a result."""
        counts = asdict(done)
        completed = sum(counts.get(name, 0) for name in _ENDS) if "moved" in counts else None
        self._progress.update(self._task, description=shown_counts(done), completed=completed)


class _Speed(ProgressColumn):
    """Files in a second; nothing before the first one."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} files/s", style="cyan")


class _Where(ProgressColumn):
    """A column that is shown only where the number of files is known, or only where it is not."""

    def __init__(self, column: ProgressColumn, *, is_known: bool) -> None:
        super().__init__()
        self._column = column
        self._is_known = is_known

    def render(self, task: Task) -> Any:
        return self._column(task) if (task.total is not None) == self._is_known else ""


@contextmanager
def shown_progress(*, is_shown: bool) -> Iterator[MoveProgress]:
    """Progress on stderr, if that is a terminal.

    Args:
        is_shown: False to show nothing.
    """
    console = Console(stderr=True)
    known = (
        *(BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %"), _Speed()),
        *(TimeRemainingColumn(), TextColumn("left")),
    )
    columns = (
        SpinnerColumn(),
        *(_Where(each, is_known=True) for each in known),
        _Where(TimeElapsedColumn(), is_known=False),
        TextColumn("{task.description}"),
    )
    disable = not (is_shown and console.is_terminal)
    with Progress(*columns, console=console, disable=disable, transient=True) as progress:
        yield MoveProgress(progress)


def shown_counts(done: Any) -> str:
    """The counts of a result, in words."""
    return ", ".join(_shown(name, value) for name, value in asdict(done).items())


def _shown(name: str, value: Any) -> str:
    if name == "bytes":
        return size_text(value)
    return f"{len(value) if isinstance(value, tuple | dict) else value} {name}"
