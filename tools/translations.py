"""The Chinese pages beside their English ones: `python -m tools.translations` lists those that are behind.

A page `X.zh.md` holds ``translation_of:`` and the beginning of the SHA-256 of the `X.md` that it translates, in its
front matter. When you have brought it up to date, ``--stamp docs/X.zh.md`` writes that of today's `X.md`.
"""

import ast
import re
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from tools.package import ROOT

STAMP = re.compile(r"translation_of: ([0-9a-f]+)")
PROGRAM = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```(?:sh|bash|text|json)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HAN = re.compile(r"[\u4e00-\u9fff]")
LENGTH = 12  # hexadecimal digits of a stamp


class Translation:
    """A translated page.

    Args:
        path: The page, `X.zh.md`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.english = path.with_name(path.name.removesuffix(".zh.md") + ".md")

    @property
    def stamp(self) -> str | None:
        """The stamp of the English page that this one translates; None if it has none."""
        found = STAMP.search(self.path.read_text(encoding="utf-8"))
        return found and found[1]

    @property
    def is_stale(self) -> bool:
        """The English page has changed since it was translated."""
        return self.stamp != stamp_of(self.english.read_text(encoding="utf-8"))

    def report(self, root: Path = ROOT) -> str:
        """Tell what to do about a page that is behind."""
        english, page = self.english.relative_to(root), self.path.relative_to(root)
        commit = self._translated_commit(root)
        look = f"git diff {commit} -- {english}" if commit else f"git log -p -- {english}"
        return (
            f"{page} is behind {english}. To see what has changed, run  {look}\n"
            f"Translate it, then run  python -m tools.translations --stamp {page}"
        )

    def _translated_commit(self, root: Path) -> str | None:
        """The newest commit with the English page that was translated; None if git does not know it."""
        name = self.english.relative_to(root).as_posix()
        if self.stamp is None:
            return None
        for commit in _git(root, "log", "--format=%h", "--", name).split():
            if stamp_of(_git(root, "show", f"{commit}:{name}")) == self.stamp:
                return commit
        return None

    def write_stamp(self) -> None:
        """Say that the page translates today's English page."""
        text = self.path.read_text(encoding="utf-8")
        line = f"translation_of: {stamp_of(self.english.read_text(encoding='utf-8'))}"
        if STAMP.search(text):
            text = STAMP.sub(line, text, count=1)
        elif text.startswith("---\n"):
            text = f"---\n{line}\n{text.removeprefix('---\n')}"
        else:
            text = f"---\n{line}\n---\n\n{text}"
        self.path.write_text(text, encoding="utf-8")

    def different_programs(self) -> Iterator[str]:
        """The programs, and the commands with their outputs, that are not those of the English page."""
        english, translated = programs(self.english), programs(self.path)
        if len(english) != len(translated):
            yield f"{self.path.name} has {len(translated)} programs, {self.english.name} has {len(english)}"
        for number, (original, program) in enumerate(zip(english, translated, strict=False), 1):
            if not is_same_program(original, program):
                yield f"program {number} of {self.path.name} is not that of {self.english.name}"
        if _commands(self.english) != _commands(self.path):
            yield f"the commands and outputs of {self.path.name} are not those of {self.english.name}"


def stamp_of(text: str) -> str:
    """The stamp of an English page."""
    return sha256(text.encode()).hexdigest()[:LENGTH]


def programs(page: Path) -> list[str]:
    """The Python programs of a page, in their order."""
    return PROGRAM.findall(page.read_text(encoding="utf-8"))


def _commands(page: Path) -> list[str]:
    """The lines of a page's commands and outputs, without comments."""
    blocks = "".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    return [line.split(" #")[0].rstrip() for line in blocks.splitlines() if not line.startswith("#")]


def is_same_program(original: str, translated: str) -> bool:
    """Compare two programs; comments, and literals that are Chinese in the translation, may differ."""
    trees = ast.parse(original), ast.parse(translated)
    for node, other in zip(*map(ast.walk, trees), strict=False):
        if _is_text(node) and _is_text(other) and HAN.search(other.value):
            node.value = other.value
    return ast.dump(trees[0]) == ast.dump(trees[1])


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def translations(root: Path = ROOT) -> list[Translation]:
    """All translated pages of a checkout."""
    return [Translation(path) for path in sorted((*root.glob("*.zh.md"), *(root / "docs").rglob("*.zh.md")))]


def _git(root: Path, *arguments: str) -> str:
    """The output of git; nothing where there is no repository."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, check=False, capture_output=True, encoding="utf-8", errors="replace"
    )
    return done.stdout


def main() -> int:
    """List the pages that are behind, or stamp some; return 1 if a page is behind."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--stamp", nargs="*", metavar="PAGE", help="these pages are up to date; without names, all")
    chosen = parser.parse_args()
    if chosen.stamp is not None:
        for page in map(Translation, map(Path, chosen.stamp)) if chosen.stamp else translations():
            page.write_stamp()
        return 0
    stale = [page.report() for page in translations() if page.is_stale]
    print("\n\n".join(stale) or "All translations are up to date.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
