"""A FastDFS tracker with storage servers, for tests: real ids, real statuses, files on disk, and what can go wrong.

It speaks the protocol of FastDFS 6.16 as its source and a running server show it, for all that clients ask for.
It differs in that the storage servers of a group share one folder (what one takes in the others have at once),
that trackers name servers that are stopped, and that it makes no trunk files. Linux and macOS only.

Example:
    ```python
    async with FastDFSServer() as server:
        client = MyFastDFSClient(trackers=[server.tracker])
        full = server.inject(Fault(status=28), 11)  # the next upload finds the disk full
        ...
        assert full.fired == 1
        assert await server.files() == []
    ```
"""

import re
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Literal, Self

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException
from async_storages.testing.fastdfs_server._disk import Disk, StoredFile, stored_files
from async_storages.testing.fastdfs_server._faults import Fault, Faults, Injection
from async_storages.testing.fastdfs_server._port import Port
from async_storages.testing.fastdfs_server._process import FastDFSProcess, fastdfs_process
from async_storages.testing.fastdfs_server._storage import StorageCommands
from async_storages.testing.fastdfs_server._tracker import Group, TrackerCommands

__all__ = [
    "FastDFSProcess",
    "FastDFSServer",
    "Fault",
    "Injection",
    "StorageAddress",
    "StoredFile",
    "fastdfs_process",
]

_FIRST_ID = 100001
_GROUP_NAME = re.compile(r"[A-Za-z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class StorageAddress:
    """A storage server.

    Attributes:
        group: The name of its group.
        address: ``host:port``; the same when it was stopped and started again.
    """

    group: str
    address: str


class FastDFSServer:
    """Trackers and storage servers on this machine, in the running event loop.

    Args:
        groups: Names of 1 to 16 letters and digits.
        storages_per_group: 1 or more.
        trackers: 1 or more; they know the same.
        store_paths: How many each storage server has, 1 to 255: ``M00``, ``M01`` and so on.
        address_size: Bytes of an address in a tracker's answer: 15 as servers without IPv6 send it, or 45.
        use_storage_id: Have ids name storage servers by number (100001, 100002 …) instead of by address.
        folder: Where the files are kept; if None, a temporary folder that goes with the server.
        idle_timeout: Seconds until a client that has asked for nothing is turned out.
        clock: Gives the Unix seconds that go into ids.
        random: Fills what is random in ids.
        threads: Whether it reads and writes files in threads. Where nothing else shares its event loop, as in
            `fastdfs_process`, it needs half the time without.

    Attributes:
        trackers: Their addresses, ``host:port``, once started; the same until the server is closed, even when stopped.
        storages: All storage servers, group by group.
        folder: Where the files are: ``<group>/M00/data/00/00/…``, metadata beside them in ``…-m``.

    Raises:
        InvalidArgumentException: One of these values cannot be.
    """

    def __init__(
        self,
        *,
        groups: Sequence[str] = ("group1",),
        storages_per_group: int = 1,
        trackers: int = 1,
        store_paths: int = 1,
        address_size: Literal[15, 45] = 15,
        use_storage_id: bool = False,
        folder: Path | str | None = None,
        idle_timeout: float = 61.0,
        clock: Callable[[], float] = time.time,
        random: Random | None = None,
        threads: bool = True,
    ) -> None:
        _require(bool(groups) and all(map(_GROUP_NAME.fullmatch, groups)), "a group has 1 to 16 letters and digits")
        _require(min(storages_per_group, trackers, store_paths) >= 1, "there is at least one of each")
        _require(store_paths <= 255 and address_size in {15, 45}, "the protocol has no field for that")
        self.trackers: tuple[str, ...] = ()
        self.storages: tuple[StorageAddress, ...] = ()
        self.folder = Path()
        self._groups = tuple(groups)
        self._counts = (storages_per_group, trackers, store_paths)
        self._address_size = address_size
        self._use_storage_id = use_storage_id
        self._given_folder = folder
        self._idle_timeout = idle_timeout
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - as random as the real server's rand()
        self._run = offload if threads else _run_here
        self._faults = Faults()
        self._advertised: dict[str, str] = {}
        self._ports: dict[str, Port] = {}
        self._temporary = ExitStack()
        self._opened = AsyncExitStack()

    @property
    def tracker(self) -> str:
        """The address of the first tracker."""
        return self.trackers[0]

    @property
    def connections(self) -> dict[str, int]:
        """How many clients are connected to each address."""
        return {address: port.connections for address, port in self._ports.items()}

    async def files(self) -> list[StoredFile]:
        """What is stored, by id: metadata with its file, and nothing of uploads that did not come to an end."""
        return await offload(stored_files, self.folder)

    def inject(self, fault: Fault, *commands: int, times: int | None = 1, at: str | None = None) -> Injection:
        """Let something go wrong with requests whose header comes from now on; the earliest injection comes first.

        Args:
            fault: What.
            commands: With which commands, such as 11 for an upload; with any if there are none.
            times: How often: once by default; None for always.
            at: The address of one tracker or storage server; all if None.

        Raises:
            InvalidArgumentException: There is no such time or address.
        """
        _require(times is None or times >= 1, "times is 1 or more, or None")
        if at is not None:
            self._at(at)
        injection = Injection(fault, commands, times, at)
        self._faults.add(injection)
        return injection

    def release(self) -> None:
        """`Injection.release` all faults: from now on nothing goes wrong."""
        self._faults.release()

    def advertise(self, addresses: Mapping[str, str]) -> None:
        """Have trackers name another address, such as a `FaultProxy`'s, for a storage server from now on.

        Args:
            addresses: The address to name, ``host:port``, by the server's own.

        Raises:
            InvalidArgumentException: There is no such storage server, or no room for such a host in an answer.
        """
        known = {storage.address for storage in self.storages}
        _require(addresses.keys() <= known, f"not all of these are storage servers: {', '.join(addresses)}")
        fits = all(len(address.rpartition(":")[0]) <= self._address_size for address in addresses.values())
        _require(fits, f"a host has at most {self._address_size} characters")
        self._advertised.update(addresses)

    async def stop(self, address: str) -> None:
        """End a tracker or storage server: its connections are closed and new ones refused, its files are kept.

        Raises:
            InvalidArgumentException: There is none at this address.
        """
        await self._at(address).stop()

    def restart(self, address: str) -> None:
        """Have a stopped one listen again, at the same address; nothing happens if it does already.

        Raises:
            InvalidArgumentException: There is none at this address.
            OSError: Someone else has taken the port meanwhile.
        """
        self._at(address).start()

    async def aclose(self) -> None:
        """End everything; a temporary folder is removed. Nothing happens the second time.

        Raises:
            BaseExceptionGroup: The server has a defect.
        """
        try:
            await self._opened.aclose()
        finally:
            self._ports.clear()
            self._advertised.clear()

    async def __aenter__(self) -> Self:
        self._opened.push_async_callback(offload, self._temporary.close)
        try:
            await offload(self._make_folder)
            await self._start()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _make_folder(self) -> None:
        folder = self._given_folder
        if folder is None:
            folder = self._temporary.enter_context(TemporaryDirectory(prefix="fastdfs-"))
        self.folder = Path(folder)

    async def _start(self) -> None:
        per_group, trackers, paths = self._counts
        ids, by_id = count(_FIRST_ID), dict[int, str]()
        groups: dict[str, Group] = {}
        for name in self._groups:
            disk = Disk(self.folder / name, paths, clock=self._clock, random=self._random, run=self._run)
            await offload(disk.prepare)
            storages = [self._start_storage(name, disk, next(ids), by_id) for _ in range(per_group)]
            groups[name] = Group(name, storages, paths)
        self.storages = tuple(StorageAddress(name, at) for name, group in groups.items() for at in group.storages)
        self.trackers = tuple(self._start_tracker(groups) for _ in range(trackers))

    def _start_storage(self, group: str, disk: Disk, number: int, by_id: dict[int, str]) -> str:
        source = struct.pack("<I", number) if self._use_storage_id else socket.inet_aton("127.0.0.1")
        commands = StorageCommands(group, disk, source, by_id, self._address_size + 1)
        address = self._listen(Port(commands.handlers, self._faults, idle_timeout=self._idle_timeout, pipelining=False))
        by_id[number] = address.rpartition(":")[0]
        return address

    def _start_tracker(self, groups: Mapping[str, Group]) -> str:
        commands = TrackerCommands(groups, self._advertised, self._address_size)
        return self._listen(Port(commands.handlers, self._faults, idle_timeout=self._idle_timeout, pipelining=True))

    def _listen(self, port: Port) -> str:
        port.start()
        self._opened.push_async_callback(port.stop)
        self._ports[port.address] = port
        return port.address

    def _at(self, address: str) -> Port:
        _require(address in self._ports, f"nothing of this server is at {address}")
        return self._ports[address]


async def _run_here[Result](func: Callable[..., Result], *args: object) -> Result:
    return func(*args)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise InvalidArgumentException(otherwise, operation="FastDFSServer")
