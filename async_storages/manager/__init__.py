"""One entry point to several storages: `manager` routes by the id, `services` work with the files."""

from async_storages.manager.manager import StorageManager

__all__ = ["StorageManager"]
