"""Variants that belong to an original: where they are, making and storing them, removing them with it.

`keys` is pure: the id of a variant follows from that of its original. `making` needs the pool of `imaging`, `removal`
only storages. Columns and transactions are in `integrations.sqlalchemy`, which calls this.
"""
