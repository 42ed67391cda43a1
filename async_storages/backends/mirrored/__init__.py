"""Several storages as one, of which the others hold what the first one holds."""
