"""The programs in docstrings: examples at a prompt (``>>>``), and blocks of ```` ```python ````.

A program may use what its module imports, the public names of this package and of what it is made for, and what the
test gives it. It may await. An output that is shown must come; in it ``…`` stands for anything, and keys and ids that
are made anew each time need only look like those that are shown.
"""

import ast
import inspect
import re
import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from doctest import DocTestParser
from importlib import import_module
from textwrap import dedent
from typing import Any

import pytest

from tools.package import PACKAGE, docstrings_of

BLOCK = re.compile(r"^( *)```python\n(?P<code>.*?)^\1```", re.DOTALL | re.MULTILINE)
MADE_ANEW = {
    re.compile("…"): ".*",
    re.compile(r"[0-9a-f]{16}(?=_)"): "[0-9a-f]{16}",
    re.compile(r"[\w-]{27}(?=\\\.\w+)"): r"[\\w-]{27}",
    re.compile(r"M00/[0-9A-F]{2}/[0-9A-F]{2}/"): r"M\\d\\d/[0-9A-F]{2}/[0-9A-F]{2}/",
}
IMPORTED = {
    "async_storages": ["*"],
    "async_storages.integrations.sqlalchemy": ["*"],
    "async_storages.integrations.fastapi": ["*"],
    "datetime": ["UTC", "datetime", "timedelta"],
    "fastapi": ["FastAPI", "Request", "Response", "UploadFile"],
    "pathlib": ["Path"],
    "pydantic": ["BaseModel", "TypeAdapter"],
    "sqlalchemy": ["select"],
    "sqlalchemy.ext.asyncio": ["AsyncSession", "async_sessionmaker", "create_async_engine"],
    "sqlalchemy.orm": ["Mapped", "mapped_column"],
    "typing": ["Annotated"],
}
"""Names that a reader brings along."""


@dataclass(frozen=True)
class Program:
    """One program of a docstring.

    Attributes:
        name: File and line of the docstring, and its number there.
        module: The module that it is in.
        steps: Statements, each with the output that is shown after it, or None.
    """

    name: str
    module: str
    steps: tuple[tuple[str, str | None], ...]

    @property
    def source(self) -> str:
        return "".join(source for source, _ in self.steps)

    @property
    def tree(self) -> ast.Module:
        """Its syntax, or nothing where that is wrong, which is told when it runs."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return ast.Module([], [])

    @property
    def awaits(self) -> bool:
        return bool(compiled(self.tree, self.name, "exec").co_flags & inspect.CO_COROUTINE)

    @property
    def wanted(self) -> set[str]:
        """The names that it reads and has not made itself."""
        names = [node for node in ast.walk(self.tree) if isinstance(node, ast.Name)]
        made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        return {node.id for node in names} - made - vars(import_module(self.module)).keys()

    def having(self, replaced: dict[str, str]) -> "Program":
        """The same program with other texts in place of some."""
        steps = list(self.steps)
        for shown, real in replaced.items():
            steps = [(source.replace(shown, real), want) for source, want in steps]
        return Program(self.name, self.module, tuple(steps))


def programs() -> list[Program]:
    """All programs in the docstrings of the package."""
    return [
        Program(f"{path.relative_to(PACKAGE.folder.parent)}:{line}-{number}", full_name(module), steps)
        for module, path in PACKAGE.modules.items()
        for line, text in docstrings_of(PACKAGE.trees[module])
        for number, steps in enumerate(programs_in(text), 1)
    ]


def full_name(module: str) -> str:
    return module if module == PACKAGE.name else f"{PACKAGE.name}.{module}"


def programs_in(text: str) -> Generator[tuple[tuple[str, str | None], ...]]:
    if examples := DocTestParser().get_examples(text):
        yield tuple((example.source, example.want.rstrip() or None) for example in examples)
    for block in BLOCK.finditer(text):
        yield ((dedent(block["code"]), None),)


def compiled(source: str | ast.Module, name: str, mode: str) -> Any:
    return compile(source, name, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def namespace(program: Program) -> dict[str, Any]:
    """The names that a program begins with; those of its own module win."""
    names: dict[str, Any] = {"__name__": program.module}
    for module, wanted in IMPORTED.items():
        found = import_module(module)
        for name in program.wanted.intersection(found.__all__ if wanted == ["*"] else wanted):
            names[name] = getattr(found, name)
    return names | vars(import_module(program.module))


def run(program: Program, names: dict[str, Any]) -> None:
    """Run a program that does not await."""
    with closing(steps_of(program)) as steps:
        for code, shown, want in steps:
            eval(code, names)
            check(program, shown, want)


async def run_awaiting(program: Program, names: dict[str, Any]) -> None:
    """Run a program that awaits."""
    with closing(steps_of(program)) as steps:
        for code, shown, want in steps:
            result = eval(code, names)
            if code.co_flags & inspect.CO_COROUTINE:
                await result
            check(program, shown, want)


def steps_of(program: Program) -> Generator[tuple[Any, list[str], str | None]]:
    """The code of each step; the list is filled with what it shows while it runs."""
    with pytest.MonkeyPatch.context() as patch:
        for source, want in program.steps:
            shown: list[str] = []
            patch.setattr(sys, "displayhook", lambda value, shown=shown: value is None or shown.append(repr(value)))
            mode = "exec" if len(ast.parse(source).body) > 1 else "single"
            yield compiled(source, program.name, mode), shown, want


def check(program: Program, shown: list[str], want: str | None) -> None:
    if want is not None:
        pattern = re.escape(want)
        for made, looks in MADE_ANEW.items():
            pattern = made.sub(looks, pattern)
        assert re.fullmatch(pattern, "\n".join(shown)), f"{program.name} shows {shown}, not {want}"
