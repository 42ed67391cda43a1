"""References: the files that rows of a database name, as one connection sees them.

`column_locations` finds the file columns that a connection can read. `lookup` searches them, and `lookup_sql` writes
its SQL. Tracking looks files up before each COMMIT. The ledger's worker does it before each deletion.
"""
