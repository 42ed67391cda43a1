"""An extension of Griffe, with which the reference reads this package as Python does."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class AsPythonReads(griffe.Extension):
    """Lets `Example:` be a section, and a function be what a package exports by the name that its module has, too."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Change the packages below one that was read, and their docstrings."""
        modules = [pkg]
        for module in modules:  # which grows meanwhile
            below = [member for member in module.members.values() if isinstance(member, griffe.Module)]
            modules.extend(below)
            for hidden in below:
                function = hidden.members.get(hidden.name)
                if hidden.name in (module.exports or ()) and isinstance(function, griffe.Object):
                    module.members[hidden.name] = griffe.Alias(hidden.name, function, parent=module)

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", obj.docstring.value)
