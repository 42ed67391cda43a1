"""The pages of the reference, made when the site is built: one for each class, one for the functions of a module.

docs/reference/index.md lists the names as ``::: async_storages.S3Storage``; a module stands for the names of its
`__all__`. MkDocs calls the functions ``on_…``. They turn that list into tables with links and into pages, which are
files of the site only: no folder holds them. The sources are read, and nothing is imported.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page as SitePage

ROOT = Path(__file__).parents[1]
PACKAGE = "async_storages"
INDEX = "reference/index.md"
SECTION = "Reference"
LISTED = re.compile(r"^::: (\S+)$", re.MULTILINE)
RUN = re.compile(r"(?:^::: \S+(?:\n+|\Z))+", re.MULTILINE)
HEADING = re.compile(r"^## (.+)\n", re.MULTILINE)


@dataclass(eq=False)
class Page:
    """A page of the reference.

    Attributes:
        path: Its path below docs/reference.
        target: The dotted name of the class, or of the module whose functions it shows.
        is_class: It shows a class.
        members: The names of a module that it shows; those that a class has from bases without a page.
        bases: The dotted names of the public classes, and of those of others, that a class inherits from.
    """

    path: PurePosixPath
    target: str
    is_class: bool
    members: list[str] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The name of the class, or the dotted name of the module."""
        return self.target.rpartition(".")[2] if self.is_class else self.target

    @property
    def label(self) -> str:
        """Its entry in the navigation."""
        return self.title if self.is_class else f"{self.target.rpartition('.')[2]}: functions"

    @property
    def markdown(self) -> str:
        """The directive that shows it."""
        option = "inherited_members" if self.is_class else "members"
        lines = (
            *("---", f"title: {self.title}", "---", ""),
            *(f"::: {self.target}", "    options:", f"      heading: {self.title}"),
            f"      {option}: {self.members or False}",
        )
        return "\n".join(lines) + "\n"

    @property
    def introduction(self) -> str:
        """HTML below its heading: how to import a class, and what it inherits from."""
        if not self.is_class:
            return ""
        code = f"from {self.target.rpartition('.')[0]} import {self.title}"
        bases = ", ".join(
            f'<autoref identifier="{base}" optional><code>{base.rpartition(".")[2]}</code></autoref>'
            for base in self.bases
        )
        inherits = f"<p>Inherits from {bases}.</p>" if bases else ""
        return f'<div class="language-python highlight"><pre><code>{code}</code></pre></div>{inherits}'


@dataclass
class Entry:
    """A row of a table: a public name, its page, its place there, and the first sentence of its docstring."""

    name: str
    page: Page
    anchor: str
    summary: str


class Reference:
    """The tables and the pages that a list of names asks for.

    Args:
        text: The text of docs/reference/index.md.
    """

    def __init__(self, text: str) -> None:
        self.pages: dict[str, Page] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.topics: dict[str, list[Page]] = {}
        self._package: Any = griffe.load(
            PACKAGE,
            search_paths=[ROOT],
            extensions=griffe.load_extensions(str(ROOT / "tools" / "reference_sources.py")),
        )
        listed = LISTED.findall(text)
        for target in listed:
            self.entries[target] = [self._enter(*named) for named in self._names(target)]
        for page in self.pages.values():
            if page.is_class:
                found = self._object(page.target)
                page.members = sorted(self._inherited(found))
                page.bases = list(dict.fromkeys(self._bases(found)))
        placed: set[Page] = set()
        self.by_path = {f"reference/{page.path}": page for page in self.pages.values()}
        parts = HEADING.split(text)
        for topic, part in zip(parts[1::2], parts[2::2], strict=True):
            pages = [entry.page for target in LISTED.findall(part) for entry in self.entries[target]]
            self.topics[topic] = [page for page in dict.fromkeys(pages) if page not in placed]
            placed.update(self.topics[topic])

    def _object(self, path: str) -> Any:
        """The class, function, attribute or module of a dotted name."""
        found = self._package if path == PACKAGE else self._package[path.removeprefix(f"{PACKAGE}.")]
        return found.final_target if found.is_alias else found

    def _names(self, target: str) -> Iterator[tuple[str, str]]:
        """The public names that a line of the list stands for: module and name."""
        found = self._object(target)
        if not found.is_module:
            module, _, name = target.rpartition(".")
            yield module, name
            return
        names = found.exports or [name for name, member in found.members.items() if member.is_public]
        yield from ((target, str(name)) for name in names if not self._object(f"{target}.{name}").is_module)

    def _enter(self, module: str, name: str) -> Entry:
        """The row of a name, with the page that it is on."""
        found = self._object(f"{module}.{name}")
        if name in self._package.exports and self._object(f"{PACKAGE}.{name}") is found:
            module = PACKAGE
        room = "" if module == PACKAGE else module.rpartition(".")[2]
        if found.is_class:
            made = Page(PurePosixPath(room, f"{name}.md"), f"{module}.{name}", is_class=True)
            page = self.pages.setdefault(found.path, made)  # where a class has two homes, the first in the list
            return Entry(name, page, "", _first_sentence(found))
        page = self.pages.setdefault(module, Page(PurePosixPath(room, "functions.md"), module, is_class=False))
        page.members = list(dict.fromkeys((*page.members, name)))
        return Entry(name, page, f"#{module}.{name}", _first_sentence(found))

    def _inherited(self, found: Any) -> Iterator[str]:
        """The members that a class has from bases without a page."""
        for name, member in found.inherited_members.items():
            origin = member.final_target
            if not name.startswith("_") and origin.has_docstring and origin.parent.path not in self.pages:
                yield name

    def _bases(self, found: Any) -> Iterator[str]:
        """The nearest classes above a class that have a page or are not of this package."""
        for base in found.bases:
            path = base if isinstance(base, str) else base.canonical_path
            if not path.startswith(f"{PACKAGE}."):
                yield path
            elif (above := self._object(path)).path in self.pages:
                yield self.pages[above.path].target
            else:
                yield from self._bases(above)

    def table(self, targets: list[str]) -> str:
        """The table of some lines of the list."""
        entries = sorted((entry for target in targets for entry in self.entries[target]), key=lambda entry: entry.name)
        rows = [f"| [`{entry.name}`]({entry.page.path}{entry.anchor}) | {entry.summary} |" for entry in entries]
        return "\n".join(('<div class="names" markdown>\n', "| Name | |", "| --- | --- |", *rows, "\n</div>\n\n"))


def _first_sentence(found: Any) -> str:
    """The first sentence of a docstring, for a cell of a table."""
    paragraph = (found.docstring.value if found.docstring else "").partition("\n\n")[0]
    words = " ".join(paragraph.split()).replace("``", "`").replace("|", "\\|")
    return words and f"{re.split(r'[.:]$|[.](?= )', words, maxsplit=1)[0]}."


@cache
def reference() -> Reference:
    """The reference that the list of the working tree asks for."""
    return Reference((ROOT / "docs" / INDEX).read_text(encoding="utf-8"))


def on_config(config: "MkDocsConfig") -> None:
    """Read the sources anew at each build, and add the pages to the navigation, by topic."""
    reference.cache_clear()
    [section] = [item for item in config.nav or [] if SECTION in item]
    written = [item for item in section[SECTION] if isinstance(item, str)]  # a build for a second language comes again
    topics = [
        {topic: [{page.label: f"reference/{page.path}"} for page in pages]}
        for topic, pages in reference().topics.items()
    ]
    section[SECTION] = written + topics


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages to the files of the site."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - the tests read the list without MkDocs

    for path in reference().by_path:
        files.append(File(path, config.docs_dir, config.site_dir, config.use_directory_urls))
    return files


def on_page_read_source(*, page: "SitePage", **_: object) -> str | None:
    """Give MkDocs the text of a page that is no file."""
    made = reference().by_path.get(page.file.src_uri)
    return made.markdown if made else None


def on_page_markdown(markdown: str, *, page: "SitePage", **_: object) -> str:
    """Turn the list into tables."""
    if page.file.src_uri != INDEX:
        return markdown
    return RUN.sub(lambda found: reference().table(LISTED.findall(found[0])), markdown)


def on_page_content(html: str, *, page: "SitePage", **_: object) -> str:
    """Say below the heading how to import a class."""
    made = reference().by_path.get(page.file.src_uri)
    if made is None:
        return html
    page.edit_url = None  # there is no file to edit
    return html.replace("</h1>", f"</h1>{made.introduction}", 1)
