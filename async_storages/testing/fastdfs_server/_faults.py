"""Faults that a proxy cannot make: a FastDFS server that fails at chosen commands."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from async_storages.errors import InvalidArgumentException

__all__ = ["Fault", "Faults", "Injection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a request. Give exactly one of `status`, `cut`, `body` and `stall`.

    With `status` or `body` you can also give `announced`.

    Args:
        status: The server does not carry the request out, and answers with this status (1 to 255). From a storage
            server, 28 is a full disk, 16 is busy and 5 is an input/output error. From a tracker, 2 means that there is
            no storage server.
        cut: The server carries the request out, but closes the connection after this many bytes of the answer: 0 before
            it, 1 to 9 within the header, 10 + n at byte n of the body. A shorter answer is sent whole.
        body: The server does not carry the request out, and answers with this body and status 0. Real servers do so if
            a client reads while another one writes.
        announced: The length in the answer's header, even if the body has another length.
        stall: The server carries the request out, but does not answer before `Injection.release`. Until then its
            connection stays open, even after the client has closed it.
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
    """A fault that waits for its requests. `FastDFSServer.inject` returns it.

    Attributes:
        fault: The fault.
        fired: How often the fault has happened.
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
        """Answer the stalled requests, and end the fault."""
        self._released.set()

    async def wait_fired(self, times: int = 1) -> None:
        """Wait until the fault has happened this often."""
        while self.fired < times:
            self._has_fired.clear()
            await self._has_fired.wait()

    def take(self, command: int, address: str) -> bool:
        """Count this request. True if the fault happens to it."""
        meant = (not self._commands or command in self._commands) and self._at in {None, address}
        if not meant or self._released.is_set() or self.fired == self._times:
            return False
        self.fired += 1
        self._has_fired.set()
        return True

    async def before_answer(self) -> None:
        """Wait while the fault delays the answer."""
        if self.fault.stall:
            await self._released.wait()


class Faults:
    """The faults of a server. The earliest one happens first."""

    def __init__(self) -> None:
        self._injections: list[Injection] = []

    def add(self, injection: Injection) -> None:
        """Add an injection."""
        self._injections.append(injection)

    def take(self, command: int, address: str) -> Injection | None:
        """Return the injection that happens to this request. None if none does."""
        return next((injection for injection in self._injections if injection.take(command, address)), None)

    def release(self) -> None:
        """End all faults."""
        for injection in self._injections:
            injection.release()
