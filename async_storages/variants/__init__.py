"""The image variants of an original: their ids, and how to make, store and delete them.

`keys` computes the id of a variant from the id of its original, without I/O. `making` needs the pool of `imaging`.
`removal` needs only storages. The columns and transactions of `integrations.sqlalchemy` use these modules.
"""
