"""README.md, which PyPI shows by itself: its links, its figures, its extras, its length."""

import re
import tomllib

import pytest

from tools.package import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
PAGES = f"{REPOSITORY}/blob/main/"
FILES = f"{REPOSITORY.replace('github.com', 'raw.githubusercontent.com')}/main/"
LINKS = re.findall(r"\]\(([^)]+)\)", README)


def test_it_is_short():
    assert len(README.split()) <= 700


@pytest.mark.parametrize("link", LINKS)
def test_a_link_works_from_elsewhere(link):
    [base] = [base for base in (PAGES, FILES) if link.startswith(base)]
    path, _, anchor = link.removeprefix(base).partition("#")
    assert (ROOT / path).is_file()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_extra_is_named():
    sentence = README.partition("The extras are")[2].partition(". ")[0]
    assert set(re.findall(r"`([\w-]+)`", sentence)) == set(PROJECT["optional-dependencies"])


def test_the_figures_are_those_of_the_benchmarks():
    page = (ROOT / "docs" / "explanation" / "benchmarks.md").read_text(encoding="utf-8")
    table = page.partition("| scenario | advanced-alchemy |")[2].partition("\n\n")[0]
    scenarios = [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in table.splitlines()[2:]]
    assert f"{len(scenarios)} scenarios of transactions" in README
    for kind in ("lost", "leaked"):
        counted = [sum(kind in row[library] for row in scenarios) for library in range(4)]
        [shown] = re.findall(rf"^\| {kind} files \| (.+) \|$", README, re.MULTILINE)
        assert [int(figure.strip("* ")) for figure in shown.split("|")] == counted


def test_the_versions_are_those_of_the_package():
    from async_storages import __version__

    lowest = {"sqlalchemy": "SQLAlchemy", "fastapi": "FastAPI"}
    for extra, name in lowest.items():
        version = PROJECT["optional-dependencies"][extra][0].partition(">=")[2]
        assert re.search(rf"{name} from {re.escape(version)}\b", README)
    assert f"{__version__} is not released" in README
