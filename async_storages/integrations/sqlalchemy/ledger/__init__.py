"""The ledger: it keeps files and rows consistent through crashes.

`file_ledger` has the public class. Uploads make `announcements`, and sessions make `claims`. The `worker` runs a
`deletion` or a `sweep`. A sweep may take an `inventory` of storages. `storage_marks` identify the ledger's own
storages.

Below them are the `connections` and `tables`. `entries` and `deletion_decisions` work on the first table, `journal` on
the second, `known_columns` on the third. `crash_points` names the steps at which tests kill a process.
"""
