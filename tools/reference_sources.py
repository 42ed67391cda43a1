"""An extension of Griffe, with which the reference reads this package as Python does."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)
PRIVATE = re.compile(r"(?<![\w.])_[A-Za-z]")


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
                    _mend(function)  # Griffe does not come to it any more
                    module.members[hidden.name] = griffe.Alias(hidden.name, function, parent=module)

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change an object that was read."""
        _mend(obj)


def _mend(found: griffe.Object) -> None:
    """Let `Example:` be a section, and leave out the value of a module's attribute if it names something private."""
    if found.docstring:
        found.docstring.value = EXAMPLE.sub(r"\1Examples:", found.docstring.value)
    if isinstance(found, griffe.Attribute) and found.parent and found.parent.is_module:
        found.value = None if PRIVATE.search(str(found.value)) else found.value
