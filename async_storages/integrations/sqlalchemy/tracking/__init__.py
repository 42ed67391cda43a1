"""Tracking: files follow the transactions of their rows.

`session_events` passes the events of sessions to `session_transactions`, which has a `transaction_scope` for each
transaction and savepoint. In a `flush`, `flushed_objects` finds the changed objects, and `uploads` stores their content
(`upload_to_objects` prepares them for `upload_to`). `replaced_files` reads the `previous_files` of their rows.
`session_statements` and `bulk_statements` do the same for statements. All of them check, claim and record files by the
`reference_writer`.

Right before the COMMIT, `before_commit` calls `removal_after_transaction`, which looks up the new and dropped files
that rows name. New rows of `plain_tables` need no lookup. After the end, `removal` removes the files that no row names,
unless another transaction of this process holds them in `files_in_use`. `lost_commits` waits for a server whose answer
was lost.
"""
