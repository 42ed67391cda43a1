"""Crash points: the steps of a move by name. The movers' own code reaches them, and tests kill it there."""

from collections.abc import Callable
from enum import StrEnum

__all__ = ["MoveStep", "hooks", "reached"]


class MoveStep(StrEnum):
    """A moment at which the process may crash, in the order of a move, a rollback and a finish."""

    PLANNED = "some planned"
    TAKEN = "taken"
    ANNOUNCED = "announced"
    COPIED = "copied"
    VERIFIED = "verified"
    SWAPPING = "swapped, not committed"
    SWAPPED = "swapped"
    GIVEN_BACK = "given back"
    UNDOING = "swapped back, not committed"
    UNDONE = "swapped back"
    RELEASING = "released, not committed"
    RELEASED = "released"
    OLD_DELETED = "old file deleted"
    FINISHED = "finished"


hooks: list[Callable[[MoveStep], None]] = []
"""Functions that are called with each step. Tests use them to examine the state after a crash."""


def reached(step: MoveStep) -> None:
    """Call the hooks with a step."""
    for hook in hooks:
        hook(step)
