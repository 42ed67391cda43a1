"""A Python package as its sources show it: modules, rooms, imports and docstrings. Nothing of it is imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUESTIONS = frozenset({"How", "Those", "What", "Whatever", "Where", "Whether"})
"""Words that no docstring begins with: a noun or a verb says it sooner."""


@dataclass(frozen=True)
class Docstring:
    """A docstring, and the place of what it documents."""

    place: str
    text: str

    @property
    def first_word(self) -> str:
        """The word that it begins with, without punctuation around it."""
        words = self.text.split(maxsplit=1)
        return words[0].strip(".,:;") if words else ""


class Package:
    """The sources of one package.

    Args:
        folder: The folder of the package, which has its name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Every module by its name without the package's; the package itself keeps its name."""
        found = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__") or self.name] = path
        return found

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The syntax tree of every module."""
        return {module: ast.parse(path.read_text()) for module, path in self.modules.items()}

    def room_of(self, module: str) -> str:
        """The folder of a module, as a dotted name; the package's own has the package's name."""
        parts = self.modules[module].parent.relative_to(self.folder).parts
        return ".".join(parts) or self.name

    def imports(self, module: str) -> set[str]:
        """The modules of this package that a module imports anywhere, except for type checkers only."""
        names = self.all_imports(module)
        return {self._module_named(name) for name in names if name.partition(".")[0] == self.name}

    def all_imports(self, module: str) -> set[str]:
        """All dotted names that a module imports anywhere, except for type checkers only."""
        return set(_all_imports(self.trees[module]))

    def _module_named(self, name: str) -> str:
        """The module that `package.a.b` names, or that defines what it names."""
        module = name.removeprefix(self.name).removeprefix(".")
        while module and module not in self.modules:
            module = module.rpartition(".")[0]
        return module or self.name

    def only_declares(self, module: str) -> bool:
        """Tell if a module has no function and no class: an `__init__.py`, an old path, a constant."""
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        return not any(isinstance(node, defined) for node in ast.walk(self.trees[module]))

    def arrows(self) -> set[tuple[str, str]]:
        """Pairs of rooms, the first of which imports from the second."""
        pairs = {
            (self.room_of(module), self.room_of(other)) for module in self.modules for other in self.imports(module)
        }
        return {(room, other) for room, other in pairs if room != other}

    def arrows_within(self, folder: str) -> dict[str, set[str]]:
        """The things in a folder, modules or rooms, and those beside them that they import from.

        Modules that only declare, such as the folder's own and old paths, are left out.

        Args:
            folder: The folder, as a dotted name.
        """
        found: dict[str, set[str]] = {}
        for module in self.modules:
            if room := self._within(folder, module):
                others = {self._within(folder, other) for other in self.imports(module)}
                found.setdefault(room, set()).update(other for other in others if other and other != room)
        return found

    def _within(self, folder: str, module: str) -> str | None:
        if not module.startswith(f"{folder}.") or self.only_declares(module):
            return None
        return module.removeprefix(f"{folder}.").partition(".")[0]

    def docstrings(self) -> Iterator[Docstring]:
        """All docstrings of modules, classes, functions and attributes, in the order of the files."""
        for module, path in self.modules.items():
            for line, text in docstrings_of(self.trees[module]):
                yield Docstring(f"{path.relative_to(self.folder.parent)}:{line}", text)


def docstrings_of(tree: ast.Module) -> list[tuple[int, str]]:
    """The docstrings of a module with the lines that they begin on.

    A string that stands alone right after an assignment documents what is assigned.
    """
    found = []
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        documents = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for before, statement in zip([node if documents else None, *body], body, strict=False):
            documented = before is node or isinstance(before, ast.Assign | ast.AnnAssign | ast.TypeAlias)
            if documented and (text := _string(statement)) is not None:
                found.append((statement.lineno, text))
    return sorted(found)


def _string(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Expr(ast.Constant(str(text))):
            return text
    return None


def _all_imports(tree: ast.AST) -> Iterator[str]:
    remaining = [tree]
    while remaining:
        node = remaining.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            remaining += node.orelse
            continue
        remaining += ast.iter_child_nodes(node)
        yield from _imported_names(node)


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


PACKAGE = Package(ROOT / "async_storages")
