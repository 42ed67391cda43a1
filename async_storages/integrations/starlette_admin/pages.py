"""The templates of file columns: they need no folder of the application's, and no other template."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

__all__ = ["FORM", "SHOWN"]

_environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)

SHOWN: Any = _environment.get_template("shown.html")
"""The files of a column on a page that lists or shows rows; Starlette-Admin includes templates and names of them."""

FORM: Any = _environment.get_template("form.html")
"""The files of a column in a form, with ways to choose others and to remove these."""
