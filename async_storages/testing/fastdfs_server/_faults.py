"""Faults beyond a proxy's: failures of chosen commands, in the words of a FastDFS server."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from async_storages.errors import InvalidArgumentException

__all__ = ["Fault", "Faults", "Injection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a request: exactly one of these, with `announced` beside `status` or `body`.

    Args:
        status: The request is not carried out, and answered with this status (1 to 255): on a storage server 28 is a
            full disk, 16 and 5 are busy and input/output error; from a tracker 2 means that there is no storage server.
        cut: The request is carried out, but the connection closes after so many bytes of the answer: 0 before it, 1 to
            9 within the header, 10 + n at byte n of the body. A shorter answer is sent whole.
        body: The request is not carried out, and answered with this body and status 0, as a read during another
            client's write.
        announced: The length in the answer's header, whatever follows.
        stall: The request is carried out, but not answered before `Injection.release`; the connection stays open until
            then, even after the client has closed it.
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
        fault: The fault.
        fired: The number of times that it has happened.
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
        """Let the stalled requests be answered, and the fault happen no more."""
        self._released.set()

    async def wait_fired(self, times: int = 1) -> None:
        """Wait until it has happened this often."""
        while self.fired < times:
            self._has_fired.clear()
            await self._has_fired.wait()

    def take(self, command: int, address: str) -> bool:
        """True if it happens to this request, which is counted."""
        meant = (not self._commands or command in self._commands) and self._at in {None, address}
        if not meant or self._released.is_set() or self.fired == self._times:
            return False
        self.fired += 1
        self._has_fired.set()
        return True

    async def before_answer(self) -> None:
        """Wait as long as the fault delays the answer."""
        if self.fault.stall:
            await self._released.wait()


class Faults:
    """The faults of a server; the earliest comes first."""

    def __init__(self) -> None:
        self._injections: list[Injection] = []

    def add(self, injection: Injection) -> None:
        """Add an injection."""
        self._injections.append(injection)

    def take(self, command: int, address: str) -> Injection | None:
        """The injection that happens to this request; None for none."""
        return next((injection for injection in self._injections if injection.take(command, address)), None)

    def release(self) -> None:
        """Let no fault happen any more."""
        for injection in self._injections:
            injection.release()
