"""Docstrings begin with a noun or a verb, so that each is understood at first reading."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "async_storages"
ROOMS = [
    *("*.py", "_media_types/**/*.py", "_zip/**/*.py", "backends/memory.py", "compat/**/*.py", "images/**/*.py"),
    *("manager/**/*.py", "scanning/**/*.py"),
]
NO_BEGINNING = {
    *("How", "If", "That", "These", "Those", "What", "Whatever", "When", "Where", "Whether", "Which", "Who", "Whoever"),
    "Whose",
}
MODULES = sorted({path for room in ROOMS for path in PACKAGE.glob(room)})


def docstrings(tree: ast.Module) -> Iterator[str]:
    """The docstrings of modules, classes and functions, and the strings below assignments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        body = getattr(node, "body", None)
        for one, following in pairwise(body) if isinstance(body, list) else ():
            if isinstance(one, ast.Assign | ast.AnnAssign | ast.TypeAlias) and isinstance(following, ast.Expr):
                value = getattr(following.value, "value", None)
                yield value if isinstance(value, str) else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_docstrings_begin_with_a_noun_or_a_verb(path):
    found = docstrings(ast.parse(path.read_text(encoding="utf-8")))
    assert [text for text in found if text and text.split()[0].strip(",:;") in NO_BEGINNING] == []
