"""Storages on the FastDFS test server, or on a real cluster."""

from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.fastdfs.storage import FastDFSStorage
from async_storages.backends.retries import Retries

FAST = FastDFSOptions(
    connect_timeout=2, network_timeout=0.5, pool_timeout=5, cleanup_timeout=5, retries=Retries(base=0.001, cap=0.01)
)
"""Options with which nothing takes long that goes wrong."""


def fastdfs_storage(server, **options):
    """A storage on the server."""
    return FastDFSStorage(**{"tracker_servers": [server.tracker], "url_base": "http://files.example", **options})
