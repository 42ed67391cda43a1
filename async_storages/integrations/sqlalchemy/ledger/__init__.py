"""The ledger: what keeps files and rows together through crashes.

`FileLedger` is in `ledger`; `claims` is what sessions do, `worker` and `sweeping` what its worker does. Below them are
the tables, and what is done to each.
"""
