"""Moves of files to another storage, with the rows that name them, while the application runs.

`migration` is the public class. `plan` enters the files of the source into the table of `tables`; a `mover` takes some
of them, `copying` copies and checks a file, and `swapping` lets its rows name the copy. `rollback` goes back, `finish`
removes the old files. Below them are `transactions`, the `entries` of the table, `route` (which ids move, and where
to), `rows` (which rows name an id), and `throttle`. `crash_points` names the steps at which tests kill a mover.
"""
