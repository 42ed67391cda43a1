"""The pages of the site, before they are built: code that fits, the home page's figures, and the reference."""

import re
from collections import Counter
from types import SimpleNamespace

import pytest

from tests.unit.test_project import PUBLIC_NAMES
from tools.package import ROOT
from tools.reference_pages import INDEX, LISTED, Reference, on_page_markdown

COLUMNS = 88
OUTPUTS = {"text", "json"}  # as programs print them
FENCED = re.compile(r"^( *)(`{3,})(\w*)[^\n`]*\n(.*?)^\1\2$", re.DOTALL | re.MULTILINE)
PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_no_line_of_code_is_cut_off(page):
    text = page.read_text(encoding="utf-8")
    blocks = [
        (found[4], text.count("\n", 0, found.start(4)) + 1)
        for found in FENCED.finditer(text)
        if found[3] not in OUTPUTS
    ]
    lines = [(first + number, line) for block, first in blocks for number, line in enumerate(block.splitlines())]
    assert [f"{page.name}:{number} {line}" for number, line in lines if len(line) > COLUMNS] == []


# ---- home


def home(language=""):
    return (ROOT / "docs" / f"index{language}.md").read_text(encoding="utf-8")


def test_the_program_of_the_home_page_is_short():
    [program] = re.findall(r"^```python\n(.*?)^```", home(), re.DOTALL | re.MULTILINE)
    assert len([line for line in program.splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("language", ["", ".zh"])
def test_the_home_page_counts_the_scenarios_of_the_benchmarks(language):
    benchmarks = (ROOT / "docs" / "explanation" / "benchmarks.md").read_text(encoding="utf-8")
    table = benchmarks[benchmarks.index("| scenario |") :].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")][1:] for line in table.splitlines()[2:]]
    shown = re.findall(r"^\| \D.*? \| \**(\d+)\** \| \**(\d+)\** \|$", home(language), re.MULTILINE)
    counted = [
        tuple(str(sum(word in cell for cell in column)) for word in ("lost", "leaked"))
        for column in zip(*cells, strict=True)
    ]
    assert shown == counted
    assert f" {len(cells)} " in home(language)


# ---- reference


@pytest.fixture(scope="module")
def reference():
    return Reference((ROOT / "docs" / INDEX).read_text(encoding="utf-8"))


def test_a_list_names_nothing_twice(reference):
    listed = LISTED.findall((ROOT / "docs" / INDEX).read_text(encoding="utf-8"))
    assert [name for name, times in Counter(listed).items() if times > 1] == []


def test_every_public_class_and_function_has_a_row(reference):
    rows = {entry.name for entries in reference.entries.values() for entry in entries}
    prose = set(re.findall(r"`(\w+)`", (ROOT / "docs" / INDEX).read_text(encoding="utf-8")))
    names = {parameter.values[1] for parameter in PUBLIC_NAMES} - {"__version__", "events", "fastdfs_ids", "registry"}
    assert names - rows - prose == set()


def test_every_line_of_the_list_becomes_a_table():
    text = (ROOT / "docs" / INDEX).read_text(encoding="utf-8").rstrip()  # as MkDocs gives it
    shown = on_page_markdown(text, page=SimpleNamespace(file=SimpleNamespace(src_uri=INDEX)))
    assert ":::" not in shown


def test_every_row_tells_what_the_name_is(reference):
    entries = [entry for entries in reference.entries.values() for entry in entries]
    assert [entry.name for entry in entries if not entry.summary] == []


def test_every_page_has_a_place_of_its_own(reference):
    paths = [str(page.path).lower() for page in reference.pages.values()]  # a folder may ignore case
    assert len(set(paths)) == len(paths)
    assert set(reference.by_path) == {f"reference/{page.path}" for page in reference.pages.values()}


def test_a_class_has_a_page_with_its_name_and_how_to_import_it(reference):
    page = reference.by_path["reference/S3Storage.md"]
    assert page.title == "S3Storage"
    assert page.markdown.count(":::") == 1
    assert "from async_storages import S3Storage" in page.introduction
    assert page.bases == ["async_storages.PresigningStorage", "async_storages.FolderStorage"]


def test_a_class_shows_members_of_bases_without_a_page(reference):
    assert "signed_cookies" in reference.by_path["reference/S3Storage.md"].members
    assert "save" not in reference.by_path["reference/S3Storage.md"].members  # on the page of Storage


def test_a_class_with_two_homes_has_one_page(reference):
    fastapi, starlette = (
        {entry.name: entry.page for entry in reference.entries[f"async_storages.integrations.{name}"]}
        for name in ("fastapi", "starlette")
    )
    assert fastapi["StoredFileResponse"] is starlette["StoredFileResponse"]
    assert fastapi["get_manager"] is not starlette["get_manager"]


def test_functions_of_a_module_share_a_page(reference):
    page = reference.by_path["reference/registry/functions.md"]
    assert {"get", "override", "register"} <= set(page.members)
    assert page.title == "async_storages.registry"


def test_a_table_links_each_name(reference):
    table = reference.table(["async_storages.S3Storage", "async_storages.prefetch"])
    assert "| [`S3Storage`](S3Storage.md) | Keeps files in one bucket. |" in table
    assert "| [`prefetch`](functions.md#async_storages.prefetch) | " in table
