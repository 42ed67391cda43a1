"""The ledger: keeps files and rows together through crashes.

`file_ledger` is the public class. Uploads make `announcements`, sessions make `claims`. The `worker` runs a `deletion`
or a `sweep`, which may take an `inventory` of storages; `storage_marks` say whose a storage is. Below them are the
`connections` and `tables`: `entries` and `deletion_decisions` work on the first table, `journal` on the second,
`known_columns` on the third. `crash_points` names the steps at which tests kill a process.
"""
