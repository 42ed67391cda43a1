"""The ledger: what keeps files and rows together through crashes.

`file_ledger` is the public whole. `announcements` and `claims` are what uploads and sessions write; `worker` and
`inventory` what its worker does. Below them are the `tables`, and `entries` and `journal`, what is done to each.
"""
