"""File columns: their types, their attributes, and their operators in queries.

`types` and `list_types` are the column types. `attributes` and `list_attributes` make file objects of assigned values
(`sqlmodel`: in pydantic models, too), `comparator` has the operators, `mapped` the annotations. `fields` finds the file
columns of a class or table, `queries` works on whole columns, `database_types` tells their types in a database.
"""
