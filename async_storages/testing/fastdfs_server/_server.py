"""The server that tests use: its files, its faults, its stops and restarts."""

from collections.abc import Mapping

from async_storages._tasks import offload
from async_storages.testing.fastdfs_server._disk import StoredFile, stored_files
from async_storages.testing.fastdfs_server._faults import Fault, Injection
from async_storages.testing.fastdfs_server._startup import Startup, require

__all__ = ["FastDFSServer"]


class FastDFSServer(Startup):
    """Trackers and storage servers on this machine, in the running event loop.

    Args:
        groups: The names of the groups, each of 1 to 16 letters and digits.
        storages_per_group: The number of storage servers in each group, 1 or more.
        trackers: The number of trackers, 1 or more. All have the same information.
        store_paths: The number of store paths of each storage server, 1 to 255: ``M00``, ``M01`` and so on.
        version: The FastDFS version to imitate: one of `VERSIONS`.
        copy_delay: Seconds until the other storage servers of a group get a change. Each storage server then has its
            own folder and address (127.0.0.1, 127.0.0.2, …). On macOS add the addresses by ``ifconfig lo0 alias``. With
            `math.inf` they get changes only when you call `copy`. With None, the servers of a group share one folder.
        free_mb: Free megabytes of each storage server at the beginning. See `set_free`.
        address_size: Bytes of an address in a tracker's answer: 15, as servers without IPv6 send it, or 45. None uses
            the size of `version`.
        use_storage_id: True puts the number of the storage server (100001, 100002 …) into ids, instead of its address.
        folder: The folder of the files. None uses a temporary folder, which is deleted when the server closes.
        idle_timeout: Seconds after which the server disconnects an idle client.
        clock: Returns the Unix seconds for ids.
        random: Fills the random parts of ids.
        threads: True reads and writes files in threads. False takes half the time, and suits a server that has its
            event loop for itself, as in `fastdfs_process`.

    Attributes:
        version: The FastDFS version, as given.
        trackers: The trackers' addresses, ``host:port``, once started. They stay the same until the server is closed,
            also after `stop`.
        storages: All storage servers, group by group.
        folder: The folder of the files. It holds ``<group>/M00/data/00/00/…``, with metadata beside each file in
            ``…-m``. With a `copy_delay` it holds ``<group>/<host>/M00/data/00/00/…``.

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
        """Return the stored files with their metadata, sorted by id. Unfinished uploads are left out.

        Args:
            at: The address of a storage server with its own folder. None returns the files of all servers.

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
        """Set the free megabytes that each storage server reports. It refuses larger uploads."""
        self._free = free_mb << 20

    def inject(self, fault: Fault, *commands: int, times: int | None = 1, at: str | None = None) -> Injection:
        """Inject a fault into requests that begin from now on. The earliest injection happens first.

        Args:
            fault: The fault.
            commands: The commands that fail, for example 11 for an upload. None given: all commands.
            times: The number of times, 1 or more. None for always.
            at: The address of one tracker or storage server. None for all.

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
        """End all faults, as `Injection.release` does. Nothing fails from now on."""
        self._faults.release()

    def advertise(self, addresses: Mapping[str, str]) -> None:
        """Make trackers return another address for a storage server from now on, for example that of a `FaultProxy`.

        Args:
            addresses: The address to return, ``host:port``, for each storage server's own address.

        Raises:
            InvalidArgumentException: There is no such storage server, or the host is too long for an answer.
        """
        known = {storage.address for storage in self.storages}
        require(addresses.keys() <= known, f"not all of these are storage servers: {', '.join(addresses)}")
        fits = all(len(address.rpartition(":")[0]) <= self._address_size for address in addresses.values())
        require(fits, f"a host has at most {self._address_size} characters")
        self._advertised.update(addresses)

    async def stop(self, address: str, *, noticed: bool | None = None) -> None:
        """Stop a tracker or storage server. It closes its connections, refuses new ones, and keeps its files.

        Args:
            address: Its address.
            noticed: True tells the trackers at once that a storage server is down, so that they name others. None means
                True with a `copy_delay`, otherwise False. A real tracker needs up to two minutes.

        Raises:
            InvalidArgumentException: There is no server at this address.
        """
        port = self._at(address)
        if self._copy_delay is not None if noticed is None else noticed:
            self._inactive.add(address)
        await port.stop()

    def restart(self, address: str) -> None:
        """Start a stopped server again at the same address. No effect if it runs already.

        Raises:
            InvalidArgumentException: There is no server at this address.
            OSError: Another program has taken the port.
        """
        self._at(address).start()
        self._inactive.discard(address)
        for replication in self._replications:
            replication.wake()
