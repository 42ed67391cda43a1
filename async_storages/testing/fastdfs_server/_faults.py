"""What a proxy cannot do to a FastDFS server: failures of chosen commands, in its own words."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from async_storages.errors import InvalidArgumentException

__all__ = ["Fault", "Faults", "Injection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with a request; exactly one of these, and `announced` beside `status` or `body`.

    Args:
        status: It is answered with this status (1 to 255) instead of being done: on a storage server 28 is a full disk,
            16 and 5 are busy and input/output error; from a tracker 2 means that there is no storage server.
        cut: It is done, but the connection closes after so many bytes of the answer: 0 before it, 1 to 9 within the
            header, 10 + n at byte n of the body. Nothing happens if the answer is shorter.
        body: It is answered with this, and status 0, instead of being done: what is read while another client writes.
        announced: The length that the answer's header tells, whatever follows.
        stall: It is done, but not answered before `Injection.release`; the connection stays open until then, also
            when the client has gone.
    """

    status: int | None = None
    cut: int | None = None
    stall: bool = False
    body: bytes | None = None
    announced: int | None = None

    def __post_init__(self) -> None:
        chosen = [self.status is not None, self.cut is not None, self.stall, self.body is not None]
        possible = (self.status is None or 1 <= self.status <= 255) and (self.cut is None or self.cut >= 0)
        possible = possible and (self.announced is None or not (self.stall or self.cut is not None))
        if sum(chosen) != 1 or not possible:
            raise InvalidArgumentException(f"not one fault: {self}", operation="inject")


class Injection:
    """A fault that waits for its requests, as `FastDFSServer.inject` returns it.

    Attributes:
        fault: What happens.
        fired: How often it has happened.
    """

    def __init__(self, fault: Fault, commands: Collection[int], times: int | None, at: str | None) -> None:
        self.fault = fault
        self.fired = 0
        self._commands = commands
        self._times = times
        self._at = at
        self._released = asyncio.Event()
        self._has_fired = asyncio.Event()

    def release(self) -> None:
        """Have what this one stalls answered, and let the fault happen no more."""
        self._released.set()

    async def wait_fired(self, times: int = 1) -> None:
        """Wait until it has happened so often."""
        while self.fired < times:
            self._has_fired.clear()
            await self._has_fired.wait()

    def take(self, command: int, address: str) -> bool:
        """Whether it happens to this request, which counts."""
        meant = (not self._commands or command in self._commands) and self._at in {None, address}
        if not meant or self._released.is_set() or self.fired == self._times:
            return False
        self.fired += 1
        self._has_fired.set()
        return True

    async def before_answer(self) -> None:
        """Wait as long as the fault makes the client wait."""
        if self.fault.stall:
            await self._released.wait()


class Faults:
    """The faults of a server, first come first served."""

    def __init__(self) -> None:
        self._injections: list[Injection] = []

    def add(self, injection: Injection) -> None:
        """Let one more happen."""
        self._injections.append(injection)

    def take(self, command: int, address: str) -> Injection | None:
        """The one that happens to this request."""
        return next((injection for injection in self._injections if injection.take(command, address)), None)

    def release(self) -> None:
        """Let none happen any more."""
        for injection in self._injections:
            injection.release()
