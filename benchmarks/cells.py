"""What the cells of tables say about a row."""

from benchmarks import Figure, Goal, shown
from benchmarks.reasons import reason
from benchmarks.records import Row

__all__ = ["best", "earlier", "goals", "others", "own", "ratio"]

EARLIER = 3
"""Earlier records that a row shows."""


def own(figure: Figure) -> str:
    if figure.ours is None:
        return figure.note
    note = f" ({figure.note})" if figure.note else ""
    return f"{shown(figure.ours)} {figure.unit}{note}"


def best(figure: Figure) -> str:
    peer = figure.best_peer
    return "" if peer is None else f"{peer} {shown(figure.peers[peer])}"


def others(figure: Figure) -> str:
    return ", ".join(f"{peer} {shown(number)}" for peer, number in figure.peers.items() if peer != figure.best_peer)


def ratio(figure: Figure) -> str:
    return "" if figure.ratio is None else shown(figure.ratio)


def earlier(row: Row) -> str:
    """The ratios of earlier records, newest first, or without peers the numbers."""
    before = row.earlier[:EARLIER]
    found = [figure.ours if row.figure.best_peer is None else figure.ratio for figure in before]
    return ", ".join(shown(number) for number in found if number is not None)


def goals(name: str, figure: Figure, reasons: dict[str, int]) -> str:
    """Each goal, and if it is reached; the reasons of misses get numbers."""
    return "; ".join(f"{figure.shown(goal)}: {verdict(name, figure, goal, reasons)}" for goal in figure.goals)


def verdict(name: str, figure: Figure, goal: Goal, reasons: dict[str, int]) -> str:
    is_reached = figure.reaches(goal)
    if is_reached is None:
        return "not measured"
    if is_reached:
        return "reached"
    why = reason(name, figure.what)
    return f"**missed** ({reasons.setdefault(why, len(reasons) + 1)})" if why else "**missed**"
