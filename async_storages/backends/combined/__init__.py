"""The common half of storages that are made of others with the same ids: `FallbackStorage` and `MirroredStorage`."""
