"""The package in numbers, at some revisions: `python -m tools.house b6b32b4 HEAD`; `--patches` lists those of tests.

The numbers come from sources alone, but for those of public names, which are counted by importing them.
"""

import ast
import subprocess
import sys
import tarfile
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.package import QUESTIONS, ROOT, Package

PUBLIC = ("", ".integrations.sqlalchemy", ".integrations.fastapi", ".integrations.starlette", ".testing")
SEAMS = {"events.hooks"}
"""Names of the package that are there to be set."""
FOREIGN = {"google", "logger", "loop"}
"""Owners of privates that are not of the package."""


@dataclass(frozen=True)
class Patch:
    """One call of `monkeypatch.setattr` and its kin.

    Attributes:
        place: File and line.
        target: The name that is patched, as the test spells it.
        is_internal: It is of the package, and no seam.
    """

    place: str
    target: str
    is_internal: bool


def patches(root: Path) -> Iterator[Patch]:
    """The patches in the tests of a checkout."""
    for path in sorted((root / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text())
        ours = _imported(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_patching(node.func):
                target = _target(node)
                place = f"{path.relative_to(root)}:{node.lineno}"
                yield Patch(place, target, target not in SEAMS and _is_internal(target, ours))


def _imported(tree: ast.Module) -> set[str]:
    """The names that a test file imports from the package."""
    return {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Import)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).partition(".")[0] == "async_storages"
    }


def _is_patching(called: ast.Attribute) -> bool:
    return called.attr in {"setattr", "delattr"} and ast.unparse(called.value) in {"monkeypatch", "patch", "patched"}


def _target(call: ast.Call) -> str:
    first, second, *_ = call.args
    if isinstance(first, ast.Constant | ast.JoinedStr):
        return ast.unparse(first).strip("f'")
    return f"{ast.unparse(first)}.{ast.unparse(second)}".replace("'", "")


def _is_internal(target: str, ours: set[str]) -> bool:
    parts = target.split(".")
    is_private = any(part.startswith("_") and not part.startswith("__") for part in parts)
    return (parts[0] in {"async_storages", *ours} or is_private) and parts[0] not in FOREIGN


def public_names(root: Path) -> dict[str, int]:
    """How many names the public packages of a checkout export."""
    found = {}
    for package in PUBLIC:
        if root.joinpath("async_storages", *package.split(".")[1:], "__init__.py").exists():
            name = f"async_storages{package}"
            program = f"import {name} as it; print(len(it.__all__))"
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", program], cwd=root, check=True, capture_output=True
            )
            found[name] = int(done.stdout)
    return found


def numbers(root: Path) -> dict[str, str]:
    """The rows of the table for one checkout."""
    package = Package(root / "async_storages")
    lines = {module: len(path.read_text().splitlines()) for module, path in package.modules.items()}
    rooms = Counter(package.room_of(module) for module in package.modules)
    arrows = package.arrows()
    words = Counter(doc.first_word for doc in package.docstrings())
    longest, fullest = max(lines, key=lines.__getitem__), max(rooms, key=rooms.__getitem__)
    found = list(patches(root))
    return {
        "modules": str(len(lines)),
        "folders": str(len(rooms)),
        "modules in the fullest folder": f"{rooms[fullest]} ({fullest})",
        "lines": f"{sum(lines.values()):,}",
        "longest file, lines": f"{lines[longest]} ({longest})",
        "arrows between folders": str(len(arrows)),
        "pairs of folders that import each other": str(sum((b, a) in arrows for a, b in arrows) // 2),
        **{
            f"arrows between the things in {folder}": str(sum(map(len, package.arrows_within(folder).values())))
            for folder in ("integrations.sqlalchemy", "integrations.fastapi", "backends")
        },
        "docstrings": str(words.total()),
        **{f"docstrings that begin with {word}": str(words[word]) for word in sorted(QUESTIONS)},
        **{f"public names of {name}": str(count) for name, count in public_names(root).items()},
        "patches in tests": str(len(found)),
        "patches of the package's internals": str(sum(patch.is_internal for patch in found)),
    }


def checked_out(revision: str, folder: Path) -> Path:
    """A revision's files, written into a folder of its own."""
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder / revision.replace("/", "-"), filter="data")
    return folder / revision.replace("/", "-")


def main() -> None:
    """Print the table of two revisions, or the patches of the working tree."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("revisions", nargs="*", default=["HEAD"])
    parser.add_argument("--patches", action="store_true", help="list the patches of internals in the working tree")
    chosen = parser.parse_args()
    if chosen.patches:
        print(*(f"{patch.place} {patch.target}" for patch in patches(ROOT) if patch.is_internal), sep="\n")
        return
    with TemporaryDirectory() as folder:
        columns = [numbers(checked_out(revision, Path(folder))) for revision in chosen.revisions]
    print("| |", " | ".join(chosen.revisions), "|")
    print("| --- |" + " --- |" * len(columns))
    for row in dict.fromkeys(row for column in columns for row in column):
        print(f"| {row} |", " | ".join(column.get(row, "") for column in columns), "|")


if __name__ == "__main__":
    main()
