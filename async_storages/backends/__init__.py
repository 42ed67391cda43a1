"""The storages: one module or package for each kind."""
