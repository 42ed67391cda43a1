"""The progress of ``async-storages migrate``, on a terminal: a bar, counts, speed, and the time left."""

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

from async_storages.cli.printing import shown
from async_storages.cli.units import size_text

__all__ = ["MoveProgress", "shown_counts", "shown_progress"]

_ENDS = ("moved", "gone", "missing", "failed")
"""Fields of a result that count files with which a run is done."""


class MoveProgress:
    """Shows the counts of a command so far. Call it with each result.

    Args:
        progress: The display.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("…", total=None)

    def expect(self, files: int) -> None:
        """Set the number of files to do, and show the part that is done."""
        self._progress.update(self._task, total=files)

    def __call__(self, done: Any) -> None:
        """Show a result."""
        counts = asdict(done)
        completed = sum(counts.get(name, 0) for name in _ENDS) if "moved" in counts else None
        self._progress.update(self._task, description=shown_counts(done), completed=completed)


class _Speed(ProgressColumn):
    """Files per second. Empty before the first file."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} files/s", style="cyan")


class _Where(ProgressColumn):
    """A column that is shown only if the number of files is known, or only if it is not."""

    def __init__(self, column: ProgressColumn, *, is_known: bool) -> None:
        super().__init__()
        self._column = column
        self._is_known = is_known

    def render(self, task: Task) -> Any:
        return self._column(task) if (task.total is not None) == self._is_known else ""


@contextmanager
def shown_progress(*, is_shown: bool) -> Iterator[MoveProgress]:
    """Show progress on stderr, if stderr is a terminal.

    Args:
        is_shown: False shows nothing.
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
    progress = Progress(*columns, console=console, disable=disable, transient=True)
    with shown(progress):
        yield MoveProgress(progress)


def shown_counts(done: Any) -> str:
    """Return the counts of a result, in words."""
    return ", ".join(_shown(name, value) for name, value in asdict(done).items())


def _shown(name: str, value: Any) -> str:
    if name == "bytes":
        return size_text(value)
    return f"{len(value) if isinstance(value, tuple | dict) else value} {name}"
