"""A contest: ours and a peer do the same work in turns, and CPU time is what counts."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Contest", "Turn", "taken"]

type Turn = Callable[[], Mapping[str, float]]
"""Does the work once, and returns seconds of CPU time by row."""


@dataclass(frozen=True)
class Contest:
    """Two who do the same work.

    Attributes:
        peer: The name of the other.
        ours: One turn of ours.
        theirs: One turn of the peer, with the same rows.
        rounds: How many turns each has.
    """

    peer: str
    ours: Turn
    theirs: Turn
    rounds: int = 120


def taken(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The CPU time of each piece of work, with the garbage collector off."""
    spent = {}
    for what, work in works.items():
        gc.collect()
        gc.disable()
        begun = time.process_time()
        work()
        spent[what] = time.process_time() - begun
        gc.enable()
    return spent
