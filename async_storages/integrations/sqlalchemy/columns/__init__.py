"""File columns: the types, what their attributes take and give, and how queries compare them.

`types` and `list_types` are the columns. `attributes` and `list_attributes` see to assignments, `comparator` to
expressions. `fields` finds the file columns of a class or table.
"""
