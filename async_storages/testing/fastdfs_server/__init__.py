"""A FastDFS tracker with storage servers, for tests: real ids, real statuses, files on disk, and injected faults.

It speaks the part of the FastDFS protocol that clients use, in one of five versions. It was compared with running
servers of each version.

By default the storage servers of a group share one folder: an upload to one server is on the others at once. Trackers
then also name stopped servers. With `copy_delay`, each storage server has its own folder, as real ones have.

Unlike a real server, it makes no trunk files and never mixes two appends. Linux and macOS only.

Example:
    ```python
    import pytest

    async with FastDFSServer() as server, FastDFSStorage([server.tracker]) as storage:
        full = server.inject(Fault(status=28), 11)  # the next upload finds the disk full
        with pytest.raises(StorageException):
            await storage.upload(b"hello", "a.txt")
        assert full.fired == 1
        assert await server.files() == []
    ```
"""

from async_storages.testing.fastdfs_server._disk import StoredFile
from async_storages.testing.fastdfs_server._faults import Fault, Injection
from async_storages.testing.fastdfs_server._process import FastDFSProcess, fastdfs_process
from async_storages.testing.fastdfs_server._server import FastDFSServer
from async_storages.testing.fastdfs_server._startup import StorageAddress
from async_storages.testing.fastdfs_server._versions import VERSIONS

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
