"""File columns: their types, their attributes, and their operators in queries.

`types` and `list_types` are the column types. `attributes` and `list_attributes` turn assigned values into file
objects. `sqlmodel` does this for pydantic models. `comparator` has the operators, and `mapped` the annotations.
`fields` finds the file columns of a class or table. `queries` works on whole columns. `database_types` finds the type
of a column in a database.
"""
