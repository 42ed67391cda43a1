"""Tracking: files follow the transactions of their rows.

`session_events` hands the events of sessions to `transactions`, which has a `transaction` for each one and for each of
its savepoints. Before a flush, `flush` looks at the changed objects and `uploads` stores their new files;
`bulk_statements` does the same for statements. Right before the COMMIT, `before_commit` asks the database which of the
files that were made or dropped a row names; for new rows of `plain_tables` there is nothing to ask. `after_transaction`
has those files deleted that no row names, by `removal`, unless another transaction of this process has them in
`files_in_use`.
"""
