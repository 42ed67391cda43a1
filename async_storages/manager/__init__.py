"""One door to several storages: `manager` routes by the id, `services` upload, download, delete and describe."""

from async_storages.manager.manager import StorageManager

__all__ = ["StorageManager"]
