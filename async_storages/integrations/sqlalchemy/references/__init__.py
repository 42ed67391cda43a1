"""References: the files that rows of a database name, as one connection sees them.

`column_locations` finds the file columns that a connection can read, `lookup` looks into them, and `lookup_sql` writes
its SQL. Tracking looks files up before each COMMIT, the ledger's worker before each deletion.
"""
