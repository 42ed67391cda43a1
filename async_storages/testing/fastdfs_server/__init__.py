"""A FastDFS tracker with storage servers, for tests: real ids, real statuses, files on disk, and what can go wrong.

It speaks the protocol of FastDFS as running servers of five versions show it, for all that clients ask for. By
default the storage servers of a group share one folder (what one takes in the others have at once), and trackers name
servers that are stopped; with `copy_delay` each has a folder of its own, as real ones do. It makes no trunk files, and
never mixes two appends. Linux and macOS only.

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

import errno
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Literal, Self

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException
from async_storages.testing.fastdfs_server._disk import Disk, StoredFile, stored_files
from async_storages.testing.fastdfs_server._faults import Fault, Faults, Injection
from async_storages.testing.fastdfs_server._names import LogicName
from async_storages.testing.fastdfs_server._port import Port
from async_storages.testing.fastdfs_server._process import FastDFSProcess, fastdfs_process
from async_storages.testing.fastdfs_server._replication import Change, Replication
from async_storages.testing.fastdfs_server._storage import StorageCommands
from async_storages.testing.fastdfs_server._tracker import Group, TrackerCommands
from async_storages.testing.fastdfs_server._versions import NEWEST, VERSIONS

__all__ = [
    "VERSIONS",
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
        version: The version that it behaves as: one of `VERSIONS`.
        copy_delay: Seconds until what a storage server took in is copied to the others of its group, each of which then
            has a folder and an address of its own (127.0.0.1, 127.0.0.2, …; macOS must be told of them by
            ``ifconfig lo0 alias``). With `math.inf` only `copy` copies. None: they share one folder.
        free_mb: Megabytes that each storage server has free at the beginning; see `set_free`.
        address_size: Bytes of an address in a tracker's answer: 15 as servers without IPv6 send it, or 45; None for
            what that version does.
        use_storage_id: Have ids name storage servers by number (100001, 100002 …) instead of by address.
        folder: Where the files are kept; if None, a temporary folder that goes with the server.
        idle_timeout: Seconds until a client that has asked for nothing is turned out.
        clock: Gives the Unix seconds that go into ids.
        random: Fills what is random in ids.
        threads: Whether it reads and writes files in threads. Where nothing else shares its event loop, as in
            `fastdfs_process`, it needs half the time without.

    Attributes:
        version: See above.
        trackers: Their addresses, ``host:port``, once started; the same until the server is closed, even when stopped.
        storages: All storage servers, group by group.
        folder: Where the files are: ``<group>/M00/data/00/00/…``, metadata beside them in ``…-m``; with a `copy_delay`
            ``<group>/<host>/M00/data/00/00/…``.

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
        version: str = NEWEST,
        copy_delay: float | None = None,
        free_mb: int = 1 << 20,
        address_size: Literal[15, 45] | None = None,
        use_storage_id: bool = False,
        folder: Path | str | None = None,
        idle_timeout: float = 61.0,
        clock: Callable[[], float] = time.time,
        random: Random | None = None,
        threads: bool = True,
    ) -> None:
        _require(bool(groups) and all(map(_GROUP_NAME.fullmatch, groups)), "a group has 1 to 16 letters and digits")
        _require(min(storages_per_group, trackers, store_paths) >= 1, "there is at least one of each")
        _require(store_paths <= 255 and address_size in {None, 15, 45}, "the protocol has no field for that")
        _require(version in VERSIONS, f"it can be FastDFS {', '.join(VERSIONS)}, not {version}")
        _require(copy_delay is None or copy_delay >= 0, "copies are made after 0 s or more")
        self.version = version
        self.trackers: tuple[str, ...] = ()
        self.storages: tuple[StorageAddress, ...] = ()
        self.folder = Path()
        self._groups = tuple(groups)
        self._counts = (storages_per_group, trackers, store_paths)
        self._behaviour = VERSIONS[version]
        self._address_size = self._behaviour.address_size if address_size is None else address_size
        self._copy_delay = copy_delay
        self._free = free_mb << 20
        self._use_storage_id = use_storage_id
        self._given_folder = folder
        self._idle_timeout = idle_timeout
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - as random as the real server's rand()
        self._run = offload if threads else _run_here
        self._faults = Faults()
        self._advertised: dict[str, str] = {}
        self._inactive: set[str] = set()
        self._commands: dict[str, StorageCommands] = {}
        self._replications: list[Replication] = []
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

    async def files(self, at: str | None = None) -> list[StoredFile]:
        """What is stored, by id: metadata with its file, and nothing of uploads that did not come to an end.

        Args:
            at: The address of a storage server with a folder of its own; None for what any has.

        Raises:
            InvalidArgumentException: There is no such server, or it shares its folder.
        """
        if at is None:
            return await offload(stored_files, self.folder)
        self._at(at)
        _require(self._copy_delay is not None, "without a copy_delay the servers share their files")
        return await offload(stored_files, self.folder, at.rpartition(":")[0])

    async def copy(self) -> None:
        """Copy now what waits to be copied between storage servers that are running."""
        for replication in self._replications:
            await replication.copy_all()

    def set_free(self, free_mb: int) -> None:
        """Have each storage server tell that it has so many megabytes free, and refuse an upload that is larger."""
        self._free = free_mb << 20

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

    async def stop(self, address: str, *, noticed: bool | None = None) -> None:
        """End a tracker or storage server: its connections are closed and new ones refused, its files are kept.

        Args:
            address: Where it is.
            noticed: Whether trackers know at once that a storage server is down, and name others; by default they do
                with a `copy_delay`. A real tracker takes up to two minutes.

        Raises:
            InvalidArgumentException: There is none at this address.
        """
        port = self._at(address)
        if self._copy_delay is not None if noticed is None else noticed:
            self._inactive.add(address)
        await port.stop()

    def restart(self, address: str) -> None:
        """Have a stopped one listen again, at the same address; nothing happens if it does already.

        Raises:
            InvalidArgumentException: There is none at this address.
            OSError: Someone else has taken the port meanwhile.
        """
        self._at(address).start()
        self._inactive.discard(address)
        for replication in self._replications:
            replication.wake()

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
            self._inactive.clear()
            self._replications.clear()

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
        _, trackers, paths = self._counts
        ids = count(_FIRST_ID)
        groups: dict[str, Group] = {}
        for name in self._groups:
            sources = await self._start_group(name, ids)
            groups[name] = Group(
                name, list(sources.values()), paths, self._by_source(sources), self._is_up, self._mb, self._counted
            )
        self.storages = tuple(StorageAddress(name, at) for name, group in groups.items() for at in group.storages)
        self.trackers = tuple(self._start_tracker(groups) for _ in range(trackers))

    async def _start_group(self, name: str, ids: "count[int]") -> dict[int, str]:
        """Start the storage servers of a group; their addresses by their ids."""
        per_group, _, _ = self._counts
        by_id: dict[int, str] = {}
        if self._copy_delay is None:
            shared = await self._disk(name)
            for number in islice(ids, per_group):
                self._start_storage(name, shared, number, by_id, host=_host(1), note=_forget)
            return by_id
        disks = [await self._disk(f"{name}/{_host(number)}") for number in range(1, per_group + 1)]
        replication = Replication(disks, self._copy_delay, lambda number: self._is_listening([*by_id.values()][number]))
        port = 0
        for turn, number in enumerate(islice(ids, per_group)):
            note = partial(replication.note, turn)
            address = self._start_storage(name, disks[turn], number, by_id, host=_host(turn + 1), port=port, note=note)
            port = int(address.rpartition(":")[2])  # one for all of a group, as in real ones
        await replication.start(self._opened)
        self._replications.append(replication)
        return by_id

    async def _disk(self, folder: str) -> Disk:
        paths, run = self._counts[2], self._run
        clock, random, version = self._clock, self._random, self._behaviour
        disk = Disk(self.folder / folder, paths, clock=clock, random=random, run=run, version=version)
        await offload(disk.prepare)
        return disk

    def _start_storage(
        self,
        group: str,
        disk: Disk,
        number: int,
        by_id: dict[int, str],
        *,
        host: str,
        note: Callable[[Change, LogicName], None],
        port: int = 0,
    ) -> str:
        source = struct.pack("<I", number) if self._use_storage_id else socket.inet_aton(host)
        commands = StorageCommands(
            group, disk, source, by_id, self._address_size + 1, free=lambda: self._free, note=note
        )
        version = self._behaviour
        by_id[number] = address = self._listen(
            Port(
                commands.handlers,
                self._faults,
                idle_timeout=self._idle_timeout,
                host=host,
                port=port,
                ends_after={errno.EINVAL, errno.EFAULT},
                is_silent=version.falls_silent,
                runs_on_after={errno.ENOSPC} if version.runs_on_after_28 else (),
            )
        )
        self._commands[address] = commands
        return address

    def _by_source(self, by_id: Mapping[int, str]) -> dict[bytes, str]:
        """The addresses by what ids say of their servers; where all have the same files, the source does not matter."""
        if self._copy_delay is None:
            return {}
        if self._use_storage_id:
            return {struct.pack("<I", number): address for number, address in by_id.items()}
        return {socket.inet_aton(address.rpartition(":")[0]): address for address in by_id.values()}

    def _start_tracker(self, groups: Mapping[str, Group]) -> str:
        commands = TrackerCommands(groups, self._advertised, self._address_size, self._behaviour)
        return self._listen(Port(commands.handlers, self._faults, idle_timeout=self._idle_timeout))

    def _listen(self, port: Port) -> str:
        port.start()
        self._opened.push_async_callback(port.stop)
        self._ports[port.address] = port
        return port.address

    def _is_up(self, address: str) -> bool:
        return address not in self._inactive

    def _is_listening(self, address: str) -> bool:
        return self._ports[address].is_listening

    def _counted(self, address: str) -> tuple[int, int]:
        commands = self._commands[address]
        return commands.uploads, commands.deletes

    def _mb(self) -> int:
        return self._free >> 20

    def _at(self, address: str) -> Port:
        _require(address in self._ports, f"nothing of this server is at {address}")
        return self._ports[address]


async def _run_here[Result](func: Callable[..., Result], *args: object) -> Result:
    return func(*args)


def _host(number: int) -> str:
    return f"127.0.0.{number}"


def _forget(_change: Change, _name: LogicName) -> None:
    """There is nobody to copy it to."""


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise InvalidArgumentException(otherwise, operation="FastDFSServer")
