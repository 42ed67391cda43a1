"""The storages: one module or package per place where files can be."""
