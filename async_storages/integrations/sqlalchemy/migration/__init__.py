"""Moves of files to another storage, and of the rows that name them, while the application runs.

`migration` has the public class. `plan` enters the files of the source into the table of `tables`. A `mover` takes some
of them. `copying` copies and checks a file, and `swapping` lets its rows name the copy. `rollback` goes back, and
`finish` deletes the old files.

Below them are `transactions`, the `entries` of the table, `route` (old and new ids), `rows` (the rows that name an id),
and `throttle`. `crash_points` names the steps at which tests kill a mover.
"""
