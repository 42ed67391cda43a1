"""The headings of docs/how-to/troubleshooting.md are messages of this library, with … for values."""

import ast
import re

import pytest

from tools.package import PACKAGE, ROOT

PAGE = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text()
HEADINGS = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
BY_OTHERS = {
    "A presigned URL answers 403, or names the wrong host",
    "The browser reports a CORS error during a direct upload",
}
"""Symptoms whose message is not ours."""
PLACEHOLDER = re.compile(r"%[-.\d]*[a-z]")


def text_of(node: ast.expr) -> str:
    """The text that a literal makes, with … for each value."""
    match node:
        case ast.Constant(str(text)):
            return PLACEHOLDER.sub("…", text)
        case ast.JoinedStr(parts):
            return "".join(text_of(part) for part in parts)
        case _:
            return "…"


@pytest.fixture(scope="module")
def messages() -> str:
    trees = [ast.parse(path.read_text()) for path in PACKAGE.modules.values()]
    literals = (ast.Constant, ast.JoinedStr)
    found = [text_of(node) for tree in trees for node in ast.walk(tree) if isinstance(node, literals)]
    return re.sub("…[….]*", "…", "\n".join(found))


@pytest.mark.parametrize("heading", sorted({*HEADINGS} - BY_OTHERS))
def test_a_heading_is_a_message(messages, heading):
    assert heading.strip("… ") in messages


def test_symptoms_of_others_are_there():
    assert set(HEADINGS) >= BY_OTHERS
    assert len(HEADINGS) > 25
