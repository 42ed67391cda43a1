"""Answers of trackers, which are kept for a moment, as they are valid for other files too."""

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
    """The servers that trackers named lately, by the subject of the request. No I/O.

    Trackers name their servers in turn, so that each gets its share of requests. An answer is therefore used at most
    ten more times, in turn with other answers.

    Args:
        seconds: Seconds for which an answer is used. 0 keeps no answers.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[Hashable, deque[_Answer[Named]]] = {}

    def recall(self, subject: Hashable, at: float = 0) -> Named | None:
        """Return the server that a tracker would name now. None if a tracker must be asked.

        Args:
            subject: The subject of the request.
            at: The time of the file's upload, in seconds since 1970.
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
        """Keep an answer, which is valid for files that were uploaded until `up_to`."""
        if not self._seconds:
            return
        if len(self._known) >= _MOST_SUBJECTS:
            self._known.clear()
        ends_at = time.monotonic() + self._seconds
        self._known.setdefault(subject, deque()).append(_Answer(named, up_to, ends_at))

    def forget(self) -> None:
        """Forget an answer after a failure, as trackers may have a new one."""
        self._known.clear()
