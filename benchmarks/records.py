"""The figures that are kept in the repository: of each row those of today, and those before."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import Figure, Goal

__all__ = ["Record", "Records", "Row"]

KEPT = 8
"""Records of a row; older ones are deleted."""

DIGITS = 6


@dataclass(frozen=True)
class Record:
    """The numbers of one run, and where they come from.

    Attributes:
        date: The day, such as ``2026-12-01``.
        machine: What it ran on, in a few words.
        versions: Of Python and the packages of peers, by name.
        ours: As in `Figure`.
        peers: As in `Figure`.
        note: As in `Figure`.
    """

    date: str
    machine: str
    versions: Mapping[str, str]
    ours: float | None
    peers: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the page: its last figure, and the records of all, the newest last."""

    figure: Figure
    records: tuple[Record, ...]

    @property
    def last(self) -> Record:
        return self.records[-1]

    @property
    def earlier(self) -> list[Figure]:
        """The figures before the last one, newest first."""
        return [
            replace(self.figure, ours=record.ours, peers=record.peers, note=record.note)
            for record in reversed(self.records[:-1])
        ]

    def with_record(self, figure: Figure, record: Record) -> "Row":
        return Row(figure, (*self.records, record)[-KEPT:])


class Records:
    """Rows by measurement and name, in the order in which they were first measured."""

    def __init__(self, rows: Mapping[str, Mapping[str, Row]] | None = None) -> None:
        self.rows: dict[str, dict[str, Row]] = {name: dict(each) for name, each in (rows or {}).items()}

    @classmethod
    def load(cls, path: Path) -> "Records":
        """Read a file; without one there are no records."""
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls({name: {what: row_from(what, row) for what, row in rows.items()} for name, rows in stored.items()})

    def save(self, path: Path) -> None:
        path.write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """A line for each record, so that a diff shows which ones are new."""
        lines = ["{"]
        for name, rows in self.rows.items():
            lines.append(f" {json.dumps(name)}: {{")
            for what, row in rows.items():
                about = dumped(about_row(row.figure))
                lines.append(f'  {dumped(what)}: {{{about[1:-1]}, "records": [')
                lines += [f"   {dumped(stored_record(row.figure, each))}," for each in row.records]
                lines[-1] = lines[-1].removesuffix(",")
                lines.append("  ]},")
            lines[-1] = lines[-1].removesuffix(",")
            lines.append(" },")
        lines[-1] = lines[-1].removesuffix(",")
        return "\n".join([*lines, "}\n"])

    def add(self, name: str, figure: Figure, record: Record | None = None) -> Row:
        """Append a figure to its row; its circumstances are those of this process unless a record says them."""
        record = record or circumstances(figure)
        rows = self.rows.setdefault(name, {})
        rows[figure.what] = rows.get(figure.what, Row(figure, ())).with_record(figure, record)
        return rows[figure.what]

    def get(self, name: str, what: str) -> Row | None:
        return self.rows.get(name, {}).get(what)

    def elsewhere(self, name: str) -> list[str]:
        """The other machines and Pythons that the last figures of a measurement are from."""
        places = {
            f"{row.last.machine}, Python {row.last.versions['Python']}" for row in self.rows.get(name, {}).values()
        }
        return sorted(places - {f"{machine()}, Python {platform.python_version()}"})

    def only(self, names: Iterable[str]) -> "Records":
        """The records of some measurements."""
        return Records({name: self.rows[name] for name in names if name in self.rows})


# ---- JSON


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def about_row(figure: Figure) -> dict[str, Any]:
    goals = [asdict(goal) for goal in figure.goals]
    return {"unit": figure.unit, "is_more_better": figure.is_more_better, "goals": goals}


def stored_record(figure: Figure, record: Record) -> dict[str, Any]:
    """A record with its ratio, for readers of the file."""
    peers = {name: rounded(number) for name, number in record.peers.items()}
    ratio = replace(figure, ours=record.ours, peers=record.peers).ratio
    return {**asdict(record), "ours": rounded(record.ours), "peers": peers, "ratio": rounded(ratio)}


def rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{DIGITS}g}")


def row_from(what: str, stored: dict[str, Any]) -> Row:
    records = tuple(
        Record(**{name: value for name, value in each.items() if name != "ratio"}) for each in stored["records"]
    )
    last = records[-1]
    goals = tuple(Goal(**goal) for goal in stored["goals"])
    is_more_better = bool(stored["is_more_better"])
    figure = Figure(what, stored["unit"], last.ours, last.peers, goals, is_more_better, last.note)
    return Row(figure, records)


# ---- circumstances


def circumstances(figure: Figure) -> Record:
    """The figure, with the day, the machine and the versions of this process."""
    versions = {"Python": platform.python_version()}
    for peer in figure.peers:
        with suppress(PackageNotFoundError):
            versions[peer] = version(peer)
    today = datetime.now(UTC).date().isoformat()
    return Record(today, machine(), versions, figure.ours, figure.peers, figure.note)


def machine() -> str:
    """The processor, and how many of its cores this process may use."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}"
