"""The common part of storages that consist of others with the same ids: `FallbackStorage`, `MirroredStorage`."""
