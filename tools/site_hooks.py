"""Functions that MkDocs calls while it builds the site: links to the repository, and the order of search results."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
TASKS = ("delete", "testing", "variants")
BOOSTS = {f"how-to/{page}": 3.0 for page in TASKS} | {
    "how-to/coming-from": 0.5,
    "how-to/direct-uploads": 1.5,
    "how-to/troubleshooting": 2.0,
    "explanation/": 0.6,
    "reference/": 0.3,
}
TRANSLATED = 0.5
HOMES = ("index.md", "index.zh.md")


def on_config(config: "MkDocsConfig") -> None:
    """Link the repository, and the source of each page, if pyproject.toml names a repository."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    if "Repository" in urls:
        config.repo_url = urls["Repository"].rstrip("/")
        config.repo_name = config.repo_url.rpartition("/")[2]
        config.edit_uri = "edit/main/docs/"


def on_page_markdown(_: str, *, page: "Page", **__: object) -> None:
    """Let a search find guides before classes, and English pages before Chinese ones, for words that are in both."""
    boost = next((boost for folder, boost in BOOSTS.items() if page.file.src_uri.startswith(folder)), 1.0)
    if page.file.src_uri.endswith(".zh.md"):
        boost *= TRANSLATED
    if page.file.src_uri in HOMES:
        page.edit_url = None  # its button takes a column's room
    page.meta.setdefault("search", {}).setdefault("boost", boost)
