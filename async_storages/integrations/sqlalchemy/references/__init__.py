"""References: which files the rows of a database name, as one connection sees them.

`column_locations` finds the file columns that a connection can read; `lookup` asks them, in the words of `lookup_sql`.
Tracking asks before each COMMIT, the ledger's worker before each deletion.
"""
