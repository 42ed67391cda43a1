"""The templates of file columns. They need no template folder in the application, and no other template."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

__all__ = ["FORM", "SHOWN"]

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, auto_reload=False
)
_environment.get_template("link.html")  # now, as including it would read it on the event loop

SHOWN: Any = _environment.get_template("shown.html")
"""The files of a column on pages that list or show rows. Starlette-Admin includes a template as it does a name."""

FORM: Any = _environment.get_template("form.html")
"""The files of a column in a form, with inputs to choose others and to remove these."""
