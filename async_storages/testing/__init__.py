"""Tools for testing storages of your own, and services that use storages.

* `StorageContract`: the suite that every storage passes, see `async_storages.testing.contract`.
* `FaultProxy`: a TCP proxy that makes connections fail as a test chooses, see `async_storages.testing.faults`.
* `S3Stub`: an S3 server in memory that imitates the S3 server you choose, see `async_storages.testing.s3_stub`.
* `FastDFSServer`: a FastDFS tracker with storage servers, see `async_storages.testing.fastdfs_server`.
* `async_storages.testing.fixtures`: a pytest plugin that starts a real PostgreSQL, a real S3 server and a FastDFS
  server, and detects blocking calls.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from async_storages.testing.contract import StorageContract
    from async_storages.testing.fastdfs_server import FastDFSServer
    from async_storages.testing.faults import FaultProxy
    from async_storages.testing.s3_stub import S3Stub

__all__ = ["FastDFSServer", "FaultProxy", "S3Stub", "StorageContract"]

_HOME_OF = {
    "FastDFSServer": "async_storages.testing.fastdfs_server",
    "FaultProxy": "async_storages.testing.faults",
    "S3Stub": "async_storages.testing.s3_stub",
    "StorageContract": "async_storages.testing.contract",
}

if "pytest" in sys.modules:  # pytest then explains the module's asserts
    sys.modules["pytest"].register_assert_rewrite("async_storages.testing.contract")


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return __all__
