"""What becomes of rows and files, scenario by scenario, with this library and with others.

Each library has a process of its own (`column`), as some listen on all sessions there are. A scenario (`scenarios`) is
written once, against a small adapter (`library`, `libraries`); `judge` looks at the folder and at the rows afterwards.
"""
