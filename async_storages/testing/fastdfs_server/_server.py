"""The server as tests see it: what it stores, its faults, its stops and restarts."""

from collections.abc import Mapping

from async_storages._tasks import offload
from async_storages.testing.fastdfs_server._disk import StoredFile, stored_files
from async_storages.testing.fastdfs_server._faults import Fault, Injection
from async_storages.testing.fastdfs_server._startup import Startup, require

__all__ = ["FastDFSServer"]


class FastDFSServer(Startup):
    """Trackers and storage servers on this machine, in the running event loop.

    Args:
        groups: Names of 1 to 16 letters and digits.
        storages_per_group: 1 or more.
        trackers: 1 or more; all have the same information.
        store_paths: The number of store paths of each storage server, 1 to 255: ``M00``, ``M01`` and so on.
        version: The version that it behaves as: one of `VERSIONS`.
        copy_delay: Seconds until a storage server's changes are copied to the others of its group, each of which then
            has its own folder and address (127.0.0.1, 127.0.0.2, …; on macOS add them by ``ifconfig lo0 alias``). With
            `math.inf` only `copy` copies. None: they share one folder.
        free_mb: Megabytes that each storage server has free at the beginning; see `set_free`.
        address_size: Bytes of an address in a tracker's answer: 15 as servers without IPv6 send it, or 45; None for
            that of the version.
        use_storage_id: Name storage servers in ids by number (100001, 100002 …) instead of by address.
        folder: The folder of the files; None for a temporary folder that is removed with the server.
        idle_timeout: Seconds after which an idle client is disconnected.
        clock: Returns the Unix seconds for ids.
        random: Fills the random parts of ids.
        threads: Read and write files in threads. If nothing else shares its event loop, as in `fastdfs_process`, it
            needs half the time without.

    Attributes:
        version: The version, as given.
        trackers: The trackers' addresses, ``host:port``, once started; they stay the same until the server is closed,
            even when stopped.
        storages: All storage servers, group by group.
        folder: The folder of the files: ``<group>/M00/data/00/00/…``, with metadata beside them in ``…-m``; with a
            `copy_delay` ``<group>/<host>/M00/data/00/00/…``.

    Raises:
        InvalidArgumentException: An argument is out of range.
    """

    @property
    def tracker(self) -> str:
        """The address of the first tracker."""
        return self.trackers[0]

    @property
    def connections(self) -> dict[str, int]:
        """The number of connected clients, by address."""
        return {address: port.connections for address, port in self._ports.items()}

    async def files(self, at: str | None = None) -> list[StoredFile]:
        """The stored files, by id: metadata with their file, without unfinished uploads.

        Args:
            at: The address of a storage server with its own folder; None for the files of all.

        Raises:
            InvalidArgumentException: There is no such server, or it shares its folder.
        """
        if at is None:
            return await offload(stored_files, self.folder)
        self._at(at)
        require(self._copy_delay is not None, "without a copy_delay the servers share their files")
        return await offload(stored_files, self.folder, at.rpartition(":")[0])

    async def copy(self) -> None:
        """Copy all waiting changes between running storage servers now."""
        for replication in self._replications:
            await replication.copy_all()

    def set_free(self, free_mb: int) -> None:
        """Let each storage server tell so many free megabytes, and refuse larger uploads."""
        self._free = free_mb << 20

    def inject(self, fault: Fault, *commands: int, times: int | None = 1, at: str | None = None) -> Injection:
        """Inject a fault into requests whose header comes from now on; the earliest injection comes first.

        Args:
            fault: The fault.
            commands: The commands that it happens to, such as 11 for an upload; none for all commands.
            times: The number of times; None for always.
            at: The address of one tracker or storage server; None for all.

        Raises:
            InvalidArgumentException: `times` is below 1, or there is no such address.
        """
        require(times is None or times >= 1, f"times is {times!r}: give 1 or more, or None")
        if at is not None:
            self._at(at)
        injection = Injection(fault, commands, times, at)
        self._faults.add(injection)
        return injection

    def release(self) -> None:
        """`Injection.release` all faults: nothing fails from now on."""
        self._faults.release()

    def advertise(self, addresses: Mapping[str, str]) -> None:
        """Let trackers name another address for a storage server from now on, such as a `FaultProxy`'s.

        Args:
            addresses: The addresses to name, ``host:port``, by the servers' own.

        Raises:
            InvalidArgumentException: There is no such storage server, or an answer has no room for the host.
        """
        known = {storage.address for storage in self.storages}
        require(addresses.keys() <= known, f"not all of these are storage servers: {', '.join(addresses)}")
        fits = all(len(address.rpartition(":")[0]) <= self._address_size for address in addresses.values())
        require(fits, f"a host has at most {self._address_size} characters")
        self._advertised.update(addresses)

    async def stop(self, address: str, *, noticed: bool | None = None) -> None:
        """Stop a tracker or storage server: it closes its connections, refuses new ones, and keeps its files.

        Args:
            address: Its address.
            noticed: Let trackers know at once that a storage server is down, and name others; None for yes with a
                `copy_delay`, else no. A real tracker takes up to two minutes.

        Raises:
            InvalidArgumentException: There is no server at this address.
        """
        port = self._at(address)
        if self._copy_delay is not None if noticed is None else noticed:
            self._inactive.add(address)
        await port.stop()

    def restart(self, address: str) -> None:
        """Let a stopped server listen again at the same address; no effect if it listens already.

        Raises:
            InvalidArgumentException: There is no server at this address.
            OSError: The port was taken meanwhile.
        """
        self._at(address).start()
        self._inactive.discard(address)
        for replication in self._replications:
            replication.wake()
