"""Finds rows that are a fifth slower than recorded, beside their peers: ``python -m benchmarks --quick``.

Ours and the peer take many short turns, one after the other, and the fastest turn of each counts: other programs slow
down most turns, and not equally, but hardly the fastest one. The ratio of both is compared, and never a time.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks import Figure
from benchmarks.contests.contest import Contest
from benchmarks.records import Records

__all__ = ["LIMIT", "QUICK", "Change", "Contests", "compare"]

QUICK = "quick"
"""The name of these rows in the records."""

SUSPECT = 1.06
"""How many times slower than recorded a row looks that is measured again."""

LIMIT = 1.12
"""How many times slower it is if it is reported: less than a fifth, as the ratios differ by some percent."""

REPEATS = 2

type Contests = Mapping[str, Callable[[], AbstractContextManager[Contest]]]


@dataclass(frozen=True)
class Change:
    """A row beside its record.

    Attributes:
        figure: The row now.
        recorded: Its ratio in the records; None if there is none.
    """

    figure: Figure
    recorded: float | None

    @property
    def slowdown(self) -> float:
        """How many times slower the row is than recorded; 1 without a record."""
        ratio = self.figure.ratio
        return 1.0 if self.recorded is None or ratio is None else self.recorded / ratio

    @property
    def is_regressed(self) -> bool:
        return self.slowdown > LIMIT

    def __str__(self) -> str:
        now = self.figure.ratio or 0.0
        times = f"{self.slowdown:.2f} times slower than recorded"
        return f"{self.figure.what}: recorded ratio {self.recorded:.3f}, ratio now {now:.3f}, {times}"


def compare(contests: Contests, records: Records, *, is_thorough: bool = False) -> Iterator[Change]:
    """Hold each contest, and those with suspect rows again; if it is to be thorough, all of them again."""
    for name, contest in contests.items():
        runs = [measure(name, contest)]
        changes = [changed(figure, records) for figure in runs[0].values()]
        if is_thorough or any(change.slowdown > SUSPECT for change in changes):
            runs += [measure(name, contest) for _ in range(REPEATS)]
            changes = [changed(middle([run[what] for run in runs]), records) for what in runs[0]]
        yield from changes


def changed(figure: Figure, records: Records) -> Change:
    row = records.get(QUICK, figure.what)
    return Change(figure, None if row is None else row.figure.ratio)


def middle(figures: list[Figure]) -> Figure:
    """The figure with the median ratio."""
    return sorted(figures, key=lambda figure: figure.ratio or 0.0)[len(figures) // 2]


def measure(name: str, opened: Callable[[], AbstractContextManager[Contest]]) -> dict[str, Figure]:
    """Hold a contest; the figures of its rows by name."""
    spent: dict[str, list[tuple[float, float]]] = {}
    with opened() as contest:
        contest.ours()  # what is made once is made
        contest.theirs()
        gc.freeze()  # else the collector looks through everything that was imported before each turn
        for number in range(contest.rounds):
            for what, ours, theirs in pair(contest, is_ours_first=bool(number % 2)):
                spent.setdefault(what, []).append((ours, theirs))
        gc.unfreeze()
    figures = {}
    for what, turns in spent.items():
        row = f"{name}: {what}" if what else name
        ours, theirs = (1000 * min(seconds) for seconds in zip(*turns, strict=True))
        figures[row] = Figure(row, "ms of CPU", ours, {contest.peer: theirs})
    return figures


def pair(contest: Contest, *, is_ours_first: bool) -> list[tuple[str, float, float]]:
    """One turn of each; by row the seconds of ours and of the peer."""
    if is_ours_first:
        ours, theirs = contest.ours(), contest.theirs()
    else:
        theirs, ours = contest.theirs(), contest.ours()
    return [(what, ours[what], theirs[what]) for what in ours]
