"""The body of a request."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Body", "Sent"]

_SMALL = 65_536
_PIECE = 262_144


class Sent(NamedTuple):
    """The progress of sending a body: how many times it was sent, and True if all bytes ever left."""

    times: int
    is_whole: bool


class Body:
    """The body of a request. It can be sent many times, in pieces, without copying.

    Args:
        data: The bytes, in one piece or in many.

    Attributes:
        pieces: The bytes.
        size: The number of bytes.
        times_sent: The number of times that sending has begun. It can be more than one per request: a request is
            repeated if a kept connection turns out to be closed.
        was_sent: True once all bytes have left. The server may have carried out the request then.
    """

    __slots__ = ("pieces", "size", "times_sent", "was_sent")

    def __init__(self, data: bytes | Sequence[bytes]) -> None:
        self.pieces: Sequence[bytes] = (data,) if isinstance(data, bytes) else data
        self.size = sum(map(len, self.pieces))
        self.times_sent = 0
        self.was_sent = False

    @property
    def sent(self) -> Sent:
        """Return how often the body was sent."""
        return Sent(self.times_sent, self.was_sent)

    @sent.setter
    def sent(self, value: Sent) -> None:
        self.times_sent, self.was_sent = value

    @property
    def is_small(self) -> bool:
        """True if a socket takes the body at once."""
        return self.size <= _SMALL

    def views(self) -> Iterator[memoryview]:
        """Yield the bytes in pieces of up to 256 KiB."""
        for piece in self.pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _PIECE):
                yield view[start : start + _PIECE]
