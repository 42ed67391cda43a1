"""Measurements against peers and goals: ``make bench``, or ``python -m benchmarks --help``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Figure", "Goal", "shown"]


@dataclass(frozen=True)
class Goal:
    """A number to reach: of ours in its own unit, or of the ratio to a peer.

    Attributes:
        number: For ours, the most it may be, or the least if more is better. For a ratio, the least.
        peer: The peer whose ratio it is; empty for a goal of ours alone.
    """

    number: float
    peer: str = ""


@dataclass(frozen=True)
class Figure:
    """One measured number, with the same number of its peers and the goals.

    Attributes:
        what: The name of the row, unique within its measurement.
        unit: The unit of all numbers, such as ``ms of CPU``.
        ours: None if it was not measured; then the note says why.
        peers: The numbers of other libraries, or of the bare work, by name.
        goals: The goals of ours, and of its ratios.
        is_more_better: True for speeds, False for costs.
        note: A remark for readers.
    """

    what: str
    unit: str = ""
    ours: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    is_more_better: bool = False
    note: str = ""

    @property
    def best_peer(self) -> str | None:
        """The name of the peer with the best number."""
        if not self.peers:
            return None
        best = max if self.is_more_better else min
        return best(self.peers, key=self.peers.__getitem__)

    @property
    def ratio(self) -> float | None:
        """How many times better ours is than the best peer."""
        return None if self.best_peer is None else self.ratio_to(self.best_peer)

    def ratio_to(self, peer: str) -> float | None:
        """How many times better ours is: with 2, half the cost or twice the speed. None if a number is missing or 0."""
        ours, theirs = self.ours, self.peers.get(peer)
        if not ours or not theirs:
            return None
        return ours / theirs if self.is_more_better else theirs / ours

    def reaches(self, goal: Goal) -> bool | None:
        """True if the goal is reached; None if its peer was left out."""
        if goal.peer:
            ratio = self.ratio_to(goal.peer)
            return None if ratio is None else ratio >= goal.number
        if self.ours is None:
            return None
        return self.ours >= goal.number if self.is_more_better else self.ours <= goal.number

    def shown(self, goal: Goal) -> str:
        """A goal as text."""
        if goal.peer:
            return f"≥ {shown(goal.number)} × {goal.peer}"
        sign = "" if not goal.number else "≥ " if self.is_more_better else "≤ "
        return f"{sign}{shown(goal.number)} {self.unit}".rstrip()

    @property
    def missed(self) -> list[Goal]:
        """The goals that are not reached."""
        return [goal for goal in self.goals if self.reaches(goal) is False]


def shown(number: float) -> str:
    """A number with up to three digits that count, or all before the point."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    text = f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}" if abs(number) >= 0.1 else f"{number:.2g}"
    return text.rstrip("0").rstrip(".") if "." in text else text
