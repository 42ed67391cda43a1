"""The table, in Markdown: a line for each scenario, a column for each library."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from async_storages.testing.postgres import postgres_server
from benchmarks.reliability.column import NOT_APPLICABLE, Cell
from benchmarks.reliability.judge import KEPT, REFUSED
from benchmarks.reliability.libraries import LIBRARIES, find

AT_ONCE = 2
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
NOT_YET = "advanced-alchemy uploads nothing before the commit"
TOO_LATE = "the commit raises, although the rows are committed"
REMARKS = {
    ("read just after commit", "advanced-alchemy"): "a background task uploads the file after the commit",
    ("kill -9 between upload and commit", "advanced-alchemy"): NOT_YET,
    ("cancelled while uploading", "advanced-alchemy"): NOT_YET,
    (
        "two rows with one name",
        "advanced-alchemy",
    ): "advanced-alchemy keeps the file if the names are unique, as its documentation shows",
    ("new content under the same name", "advanced-alchemy"): "advanced-alchemy never stores the new content",
    ("append to a list of files", "advanced-alchemy"): (
        "advanced-alchemy does not notice the change, if the column is declared as its documentation shows"
    ),
    ("old object already missing", "sqlalchemy-file"): TOO_LATE,
    ("storage down at delete", "sqlalchemy-file"): TOO_LATE,
    ("storage down at delete", "ours, level 1"): "the commit succeeds; an event and the log report the failure",
}


@dataclass(frozen=True)
class Column:
    """A library: its packages with their versions, and what became of each scenario."""

    name: str
    versions: str
    cells: Mapping[str, Cell]


def report(database: str = "sqlite") -> Iterator[str]:
    """Run all, and print line by line; the database is ``"sqlite"`` or ``"postgresql"``."""
    names = [name for name in LIBRARIES if is_importable(name)]
    with databases(database) as url, ThreadPoolExecutor(AT_ONCE) as pool:
        columns = list(pool.map(partial(run, url), names))
    versions = dict.fromkeys(column.versions for column in columns)
    yield f"On {NAMES[database]}, with {', '.join(versions)}, SQLAlchemy {version('sqlalchemy')}.\n"
    yield from table(columns)
    left_out = [name for name in LIBRARIES if name not in names]
    if left_out:
        yield f"\nLeft out, as they cannot be imported: {', '.join(left_out)}."


def is_importable(name: str) -> bool:
    command = [sys.executable, "-c", f"from {find.__module__} import find; find({name!r})"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def databases(kind: str) -> Iterator[Callable[[str, Path], str]]:
    """Makes an empty database for a library, and says where."""
    if kind == "sqlite":
        yield lambda _, folder: f"sqlite+aiosqlite:///{folder / 'rows.sqlite'}"
        return
    with postgres_server() as server:

        def create(name: str, _: Path) -> str:
            server.create_database(name)
            return server.url(name)

        yield create


def run(url: Callable[[str, Path], str], name: str) -> Column:
    """All scenarios with one library, in a process of its own."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.reliability.column", name, url(name, Path(folder)), folder]
        environment = os.environ | {"TMPDIR": folder}  # for locks that libcloud leaves
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    found = json.loads(answer)
    return Column(name, found["versions"], {each: Cell(**cell) for each, cell in found["cells"].items()})


# ---- Markdown


def table(columns: list[Column]) -> Iterator[str]:
    """A line for each scenario that applies to some library, and the footnotes."""
    notes: dict[str, int] = {}
    yield f"| scenario | {' | '.join(column.name for column in columns)} |"
    yield f"| --- {'| --- ' * len(columns)}|"
    for scenario in columns[0].cells:
        if any(column.cells[scenario].verdict != NOT_APPLICABLE for column in columns):
            yield f"| {scenario} | {' | '.join(shown(scenario, column, notes) for column in columns)} |"
    yield ""
    yield from (f"{number}. {note[0].upper()}{note[1:]}." for note, number in notes.items())


def shown(scenario: str, column: Column, notes: dict[str, int]) -> str:
    """A cell, with the number of its footnote."""
    cell = column.cells[scenario]
    text = cell.verdict if cell.verdict in {KEPT, REFUSED, NOT_APPLICABLE} else f"**{cell.verdict}**"
    note = REMARKS.get((scenario, column.name)) or (cell.why if cell.verdict in {REFUSED, NOT_APPLICABLE} else "")
    return f"{text} ({notes.setdefault(note, len(notes) + 1)})" if note else text
