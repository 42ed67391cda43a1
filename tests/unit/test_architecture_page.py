"""`docs/explanation/architecture.md` shows the folders as they are, and modules import each other as it says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.package import PACKAGE, ROOT

PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
TREES = re.findall(r"^```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"^(?P<indent>(?:  )*)(?P<name>[\w.]+/?)(?:  +(?P<line>.*))?$")
CONTINUED = re.compile(r"\n {20,}")  # a long line goes on below its beginning
NAMED = re.compile(r"(?<![\w/.`])[\w]+\.(?:py|sh)\b(?!`)")


def entries() -> Iterator[tuple[Path, str]]:
    """The paths in the page's trees, with the line that stands beside each."""
    for tree in TREES:
        above: list[str] = []
        for line in filter(None, CONTINUED.sub(" ", tree).splitlines()):
            entry = ENTRY.match(line)
            assert entry, f"neither a folder nor a module: {line!r}"
            above[len(entry["indent"]) // 2 :] = [entry["name"]]
            yield ROOT.joinpath(*above), entry["line"] or ""


SHOWN = dict(entries())


def test_every_name_in_the_tree_exists():
    named = {path / name for path, line in SHOWN.items() for name in NAMED.findall(line)}
    assert not [str(path.relative_to(ROOT)) for path in {*SHOWN, *named} if not path.exists()]


def test_every_folder_of_the_package_is_in_the_tree_and_says_what_it_holds():
    folders = {path.parent for path in PACKAGE.modules.values()}
    assert not [str(folder.relative_to(ROOT)) for folder in folders if not SHOWN.get(folder)]


def test_every_module_that_stands_in_no_folder_is_in_the_tree():
    loose = {path for name, path in PACKAGE.modules.items() if "." not in name and path.name[:2] != "__"}
    assert not [path.name for path in loose - {*SHOWN} if not PACKAGE.only_declares(path.stem)]


def test_every_old_path_is_named_as_one():
    [named] = re.findall(r"^Old paths .*\n(.*)\.$", PAGE, re.MULTILINE)
    old = [path for path in PACKAGE.modules.values() if path.read_text().startswith('"""The old path of')]
    assert set(re.findall(r"`(.*?)`", named)) == {str(path.relative_to(PACKAGE.folder)) for path in old}


def tables(heading: str) -> dict[str, set[str]]:
    """The rows of the table whose first heading begins so: what the first cell names, and the names in the second."""
    [table] = re.findall(rf"^\| {re.escape(heading)}.*\n\|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    rows = [line.strip("|").split("|") for line in table.splitlines()]
    return {row[0].strip(" `"): set(re.findall(r"`([\w.]+)`", row[1])) for row in rows}


@pytest.mark.parametrize("folder", ["integrations.sqlalchemy", "backends"])
def test_rooms_import_from_each_other_as_the_page_says(folder):
    assert PACKAGE.arrows_within(folder) == tables(f"room of `{folder.replace('.', '/')}/`")
