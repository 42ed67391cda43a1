"""Output: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from async_storages.cli.units import counted, escaped, size_text

__all__ = ["Counter", "counting", "note", "print_json", "print_line", "write_chunk"]


def print_line(text: str) -> None:
    """A line of the result; what a terminal could not show is escaped there."""
    shown = escaped(text) if sys.stdout.isatty() else text.encode(errors="backslashreplace").decode()
    sys.stdout.write(f"{shown}\n")


def print_json(document: Any) -> None:
    """A result as JSON, on one line."""
    sys.stdout.write(json.dumps(document) + "\n")


def note(text: str, *, quiet: bool = False) -> None:
    """A line on stderr, unless it is not wanted."""
    if not quiet:
        sys.stderr.write(f"{escaped(text)}\n")
        sys.stderr.flush()


class Counter:
    """Files and bytes so far, shown while the command runs."""

    def __init__(self, progress: Progress, verb: str) -> None:
        self._progress = progress
        self._verb = verb
        self._task = progress.add_task(verb)
        self.files = 0
        self.bytes = 0

    def add(self, *, files: int = 0, size: int = 0) -> None:
        """Count."""
        self.files += files
        self.bytes += size
        self._progress.update(self._task, description=self.text)

    @property
    def text(self) -> str:
        """The counts, in words."""
        return f"{self._verb} {counted(self.files, 'file')}, {size_text(self.bytes)}"


@contextmanager
def counting(verb: str, *, quiet: bool = False) -> Iterator[Counter]:
    """A counter, shown on stderr if that is a terminal.

    Args:
        verb: The beginning of its text, such as ``"copied"``.
        quiet: True to show nothing.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        yield Counter(progress, verb)


def write_chunk(chunk: bytes) -> None:
    """Bytes of a file, on standard output.

    It waits for whoever reads them, in the event loop: nothing else is to be done meanwhile, and Ctrl-C finds no
    thread that would have to end.
    """
    sys.stdout.buffer.write(chunk)
