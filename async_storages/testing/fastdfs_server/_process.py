"""Run the server in a process of its own, in a `with` block."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from async_storages._tasks import offload
from async_storages.testing.fastdfs_server._disk import StoredFile, stored_files

__all__ = ["FastDFSProcess", "fastdfs_process"]


@dataclass(frozen=True, slots=True)
class FastDFSProcess:
    """A running server, as `fastdfs_process` yields it.

    Attributes:
        tracker: The tracker's address, ``host:port``.
        folder: The folder of the files; see `FastDFSServer.folder`.
        pid: The id of the process, for measurements.
    """

    tracker: str
    folder: Path
    pid: int

    async def files(self) -> list[StoredFile]:
        """Return the stored files, sorted by id."""
        return await offload(stored_files, self.folder)


@contextmanager
def fastdfs_process(*arguments: str) -> Iterator[FastDFSProcess]:
    """Run ``python -m async_storages.testing.fastdfs_server``. It ends, with its files, when the block ends.

    It also ends within a second after this process ends, in any way.

    Args:
        arguments: Arguments of that command, such as ``"--address-size=45"``.

    Raises:
        RuntimeError: The server did not start. Its standard error output tells why.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "async_storages.testing.fastdfs_server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C ends the tests first, then the server
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            tracker, folder = process.stdout.readline().strip(), process.stdout.readline().strip()
            if not folder:
                raise RuntimeError("the FastDFS server did not start")
            yield FastDFSProcess(tracker, Path(folder), process.pid)
        finally:
            process.terminate()  # also where a forked child holds the pipe open
