"""Output: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from async_storages.cli.units import counted, escaped, size_text

__all__ = ["Counter", "counting", "note", "print_json", "print_line", "write_chunk"]


def print_line(text: str) -> None:
    """Print a line of the result. On a terminal, escape characters that it cannot show."""
    shown = escaped(text) if sys.stdout.isatty() else text.encode(errors="backslashreplace").decode()
    sys.stdout.write(f"{shown}\n")


def print_json(document: Any) -> None:
    """Print a result as JSON, on one line."""
    sys.stdout.write(json.dumps(document) + "\n")


def note(text: str, *, quiet: bool = False) -> None:
    """Print a line on stderr, unless `quiet`."""
    if not quiet:
        sys.stderr.write(f"{escaped(text)}\n")
        sys.stderr.flush()


class Counter:
    """Counts files and bytes, and shows the counts while the command runs."""

    def __init__(self, progress: Progress, verb: str) -> None:
        self._progress = progress
        self._verb = verb
        self._task = progress.add_task(verb)
        self.files = 0
        self.bytes = 0

    def add(self, *, files: int = 0, size: int = 0) -> None:
        """Add files and bytes."""
        self.files += files
        self.bytes += size
        self._progress.update(self._task, description=self.text)

    @property
    def text(self) -> str:
        """Return the counts, in words."""
        return f"{self._verb} {counted(self.files, 'file')}, {size_text(self.bytes)}"


@contextmanager
def counting(verb: str, *, quiet: bool = False) -> Iterator[Counter]:
    """Yield a counter. It is shown on stderr, if stderr is a terminal.

    Args:
        verb: The beginning of its text, such as ``"copied"``.
        quiet: True shows nothing.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
    with shown(progress):
        yield Counter(progress, verb)


def shown(progress: Progress) -> AbstractContextManager[object]:
    """Return a context that shows a progress, unless it is disabled: rich before 14 prints an empty line then."""
    return nullcontext() if progress.disable else progress


def write_chunk(chunk: bytes) -> None:
    """Write bytes of a file to standard output.

    It blocks the event loop until the reader takes the bytes. The command has nothing else to do meanwhile, and Ctrl-C
    need not wait for a thread.
    """
    sys.stdout.buffer.write(chunk)
