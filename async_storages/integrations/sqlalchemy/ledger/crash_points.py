"""Crash points: the steps of the protocol by name. The protocol's own code reaches them, and tests kill it there."""

from collections.abc import Callable
from enum import StrEnum

__all__ = ["CopyStep", "Step", "hooks", "reached"]


class Step(StrEnum):
    """A moment at which the process may crash.

    The steps of a session, of its worker, and of a sweep, in their order.
    """

    INTENT_SENT = "intent written, not committed"
    INTENT_WRITTEN = "intent written"
    END_HELD = "all but the end written"
    OBJECT_WRITTEN = "object written"
    UPLOADED = "all uploaded"
    CLAIMED = "claimed"
    DOOMED = "doomed"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    INTENTS_EXPIRED = "intents expired"

    MARK_WRITTEN = "mark written"
    MARK_NOTED = "mark noted"
    INTENTS_TAKEN = "intents taken over"
    LOCKED = "rows locked"
    CONDEMNED = "condemned, not committed"
    DELETING = "condemned, committed"
    OBJECT_DELETED = "object deleted"
    INTENTS_DROPPED = "intents dropped"
    FORGOTTEN = "row deleted"

    SWEPT = "swept"


class CopyStep(StrEnum):
    """A moment at which a worker that copies a file into a mirror may crash, in their order."""

    TAKEN = "copy taken"
    MADE = "copy made"
    FORGOTTEN = "copy forgotten"


hooks: list[Callable[[Step | CopyStep], None]] = []
"""Functions that are called with each step. Tests use them to examine the state after a crash."""


def reached(step: Step | CopyStep) -> None:
    """Call the hooks with a step."""
    for hook in hooks:
        hook(step)
