"""Answers of trackers, kept for a moment as they serve for other files as well."""

import math
import time
from collections import deque
from collections.abc import Hashable

__all__ = ["AnswerCache"]

_USES = 10
_MOST_SUBJECTS = 256


class _Answer[Named]:
    __slots__ = ("ends_at", "named", "up_to", "uses")

    def __init__(self, named: Named, up_to: float, ends_at: float) -> None:
        self.named = named
        self.up_to = up_to
        self.ends_at = ends_at
        self.uses = _USES


class AnswerCache[Named]:
    """The servers that trackers named lately, by what they were asked about. No I/O.

    Trackers name their servers in turn, so that each gets its share: therefore an answer serves ten times more at the
    most, in turn with others.

    Args:
        seconds: How long an answer serves; 0 for not at all.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[Hashable, deque[_Answer[Named]]] = {}

    def recall(self, subject: Hashable, at: float = 0) -> Named | None:
        """The server that a tracker would name now; None if it must be asked.

        Args:
            subject: What it is asked about.
            at: When the file was made, in seconds since 1970.
        """
        known = self._known.get(subject)
        now = time.monotonic() if known else 0.0
        while known:
            answer = known[0]
            if answer.uses and answer.ends_at > now:
                if at > answer.up_to:
                    return None
                answer.uses -= 1
                known.rotate(-1)
                return answer.named
            known.popleft()
        return None

    def keep(self, subject: Hashable, named: Named, up_to: float = math.inf) -> None:
        """Note an answer, which is right for files that were made until `up_to`."""
        if not self._seconds:
            return
        if len(self._known) >= _MOST_SUBJECTS:
            self._known.clear()
        ends_at = time.monotonic() + self._seconds
        self._known.setdefault(subject, deque()).append(_Answer(named, up_to, ends_at))

    def forget(self) -> None:
        """Something went wrong: trackers may know better by now."""
        self._known.clear()
