"""Docstrings say what a thing is or does: they begin with a noun or a verb, as one would look it up."""

import pytest

from tools.package import PACKAGE, QUESTIONS


def test_no_docstring_begins_with_a_question():
    docs = [doc for doc in PACKAGE.docstrings() if doc.first_word in QUESTIONS]
    found = [f"{doc.place}: {doc.text.partition('\n')[0]}" for doc in docs]
    if found:
        pytest.fail(
            "\n".join([f"{len(found)} docstrings begin with one of {sorted(QUESTIONS)}:", *found]), pytrace=False
        )
