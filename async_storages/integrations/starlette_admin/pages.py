"""The templates of file columns: they need no folder of the application's, and no other template."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

__all__ = ["FORM", "SHOWN"]

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, auto_reload=False
)
_environment.get_template("link.html")  # now, as including it would read it on the event loop

SHOWN: Any = _environment.get_template("shown.html")
"""The files of a column on a page that lists or shows rows; Starlette-Admin includes templates as it does names."""

FORM: Any = _environment.get_template("form.html")
"""The files of a column in a form, with ways to choose others and to remove these."""
