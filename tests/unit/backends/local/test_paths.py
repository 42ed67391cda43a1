"""Paths whose names are forgotten."""

import gc
import sys
from pathlib import Path

import pytest

from async_storages.backends.local.paths import own_path


def test_it_is_a_path_like_others(tmp_path):
    path = own_path(tmp_path)
    assert path == tmp_path
    assert path / "a//./b" / "../c.txt" == tmp_path / "a/b/../c.txt"
    assert str(path / "a/b") == str(tmp_path / "a/b")
    assert type(path / "a") is type((path / "a").parent) is type(path)
    assert (path / "a/b").relative_to(tmp_path).parts == ("a", "b")
    assert isinstance(path, Path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps pathlib's own paths")
def test_names_are_forgotten(tmp_path):
    path = own_path(tmp_path)

    def visit(first):
        for number in range(first, first + 2000):
            str(path / f"{number}.txt")
        gc.collect()
        return sys.getallocatedblocks()

    before = visit(0)
    assert visit(2000) - before < 500
