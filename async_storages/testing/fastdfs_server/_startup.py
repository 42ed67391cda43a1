"""Start and end the server: its folders, disks, ports and replication."""

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
from async_storages.testing.fastdfs_server._disk import Disk
from async_storages.testing.fastdfs_server._faults import Faults
from async_storages.testing.fastdfs_server._names import LogicName
from async_storages.testing.fastdfs_server._port import Port
from async_storages.testing.fastdfs_server._replication import Change, Replication
from async_storages.testing.fastdfs_server._storage import StorageCommands
from async_storages.testing.fastdfs_server._tracker import Group, TrackerCommands
from async_storages.testing.fastdfs_server._versions import NEWEST, VERSIONS

__all__ = ["Startup", "StorageAddress", "require"]

_FIRST_ID = 100001
_GROUP_NAME = re.compile(r"[A-Za-z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class StorageAddress:
    """A storage server.

    Attributes:
        group: The name of its group.
        address: ``host:port``. It stays the same after a restart.
    """

    group: str
    address: str


class Startup:
    """Starts and ends trackers and storage servers. Arguments as for `FastDFSServer`."""

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
        require(
            bool(groups) and all(map(_GROUP_NAME.fullmatch, groups)),
            f"groups is {groups!r}: give names of 1 to 16 letters and digits",
        )
        require(
            min(storages_per_group, trackers, store_paths) >= 1,
            "storages_per_group, trackers and store_paths must be 1 or more",
        )
        require(
            store_paths <= 255 and address_size in {None, 15, 45},
            "store_paths must be at most 255, and address_size 15 or 45",
        )
        require(version in VERSIONS, f"version is {version!r}: give one of {', '.join(VERSIONS)}")
        require(copy_delay is None or copy_delay >= 0, f"copy_delay is {copy_delay!r}: give 0 or more seconds")
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

    async def aclose(self) -> None:
        """Stop everything, and delete a temporary folder. No effect the second time.

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
        """Start the storage servers of a group. Returns their addresses by their ids."""
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
            port = int(address.rpartition(":")[2])  # one port for a whole group, as on real servers
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
        """Return the addresses by the sources in ids. Empty if the servers share their files."""
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
        require(address in self._ports, f"nothing of this server is at {address}")
        return self._ports[address]


async def _run_here[Result](func: Callable[..., Result], *args: object) -> Result:
    return func(*args)


def _host(number: int) -> str:
    return f"127.0.0.{number}"


def _forget(_change: Change, _name: LogicName) -> None:
    """Note nothing, because there are no replicas."""


def require(condition: bool, otherwise: str) -> None:
    """Raise InvalidArgumentException with this reason if the condition does not hold."""
    if not condition:
        raise InvalidArgumentException(otherwise, operation="FastDFSServer")
