"""The ledger: keeps files and rows together through crashes.

`file_ledger` is the public whole. Uploads write `announcements`, sessions make `claims`. The `worker` goes on to
`deletion` and `sweep`; an `inventory` lists storages. `storage_marks` tell whose a storage is. Below them are the
`connections` and `tables`: `entries` and `due_files` are the rows of the first table, `journal` those of the second,
`known_columns` those of the third. `crash_points` names the steps at which tests kill a process.
"""
