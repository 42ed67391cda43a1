"""Every program in the README and the docs, run as pasted: a new folder, a new interpreter, warnings as errors.

A ```` ```text ```` block right after a program is what it prints. A block with ``title="test_….py"`` is run by pytest.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from async_storages import registry
from tests.support.patience import HANGS, TIME_OUT
from tests.support.uvicorn_server import served

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r'^```python(?: title="(?P<title>[^"]+)")?(?: hl_lines="[^"]+")?\n(?P<code>.*?)^```\n'
    r"(?:\n```text\n(?P<output>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)
OF_LITESTAR = ("The declarative_mixin decorator", "Import of deprecated import 'litestar.contrib")
"""The beginnings of warnings about Litestar's own code."""

NEEDS_BODY_LIMIT = pytest.mark.skipif(
    "max_body_size" not in signature(FastAPI.post).parameters, reason="FastAPI has max_body_size from 0.164 on"
)


@dataclass
class Program:
    name: str
    title: str | None
    code: str
    output: str | None


def programs() -> list[Program]:
    return [
        Program(
            f"{page.relative_to(ROOT)}:{text.count('\n', 0, found.start()) + 1}",
            *found.group("title", "code", "output"),
        )
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for found in BLOCK.finditer(text)
    ]


def test_there_is_something_to_run():
    pages = {program.name.partition(":")[0] for program in programs()}
    expected = {
        "explanation": ["ledger", "transactions"],
        "how-to": [
            *("fastapi", "upload", "serve", "presigned-urls", "list-with-urls", "direct-uploads", "delete", "errors"),
            *("file-routes", "zip", "exports", "tenants", "scan-uploads", "starlette", "litestar", "admin"),
            *("columns", "list-columns", "facts", "sqlmodel", "variants", "plain-sessions", "alembic", "testing"),
            *("manager", "moving", "storages"),
            *("coming-from-fastapi-async-storages", "coming-from-s3py-helper"),
        ],
        "providers": ["fastdfs", "gcs", "s3"],
        "tutorial": ["1-columns", "2-fastapi", "3-images", "4-s3", "5-ledger", "6-alembic"],
    }
    assert {"README.md", *(f"docs/{folder}/{page}.md" for folder in expected for page in expected[folder])} <= pages


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(program, id=program.name, marks=[NEEDS_BODY_LIMIT] if "max_body_size" in program.code else [])
        for program in programs()
    ],
)
def test_program_runs_as_pasted(program: Program, tmp_path: Path):
    script = tmp_path / (program.title or "app.py")
    script.write_text(program.code, encoding="utf-8")
    tool = (
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
        if program.title
        else ["-W", "error", *(f"-Wignore:{each}" for each in OF_LITESTAR)]
    )

    done = subprocess.run(
        [sys.executable, *tool, script.name],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=HANGS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    if program.output is not None:
        assert done.stdout == program.output


async def test_the_application_of_the_readme_does_what_its_curls_ask(tmp_path, monkeypatch):
    readme = [program.code for program in programs() if program.name.startswith("README.md")]
    [code] = [code for code in readme if "FastAPI(" in code]
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "app"}
    exec(compile(code, "app.py", "exec"), namespace)
    try:
        async with (
            served(namespace["app"]) as url,
            httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=TIME_OUT) as client,
        ):
            number = (await client.post("/documents", files={"file": ("app.py", code)})).json()
            assert (await client.get(f"/documents/{number}")).text == code
            assert (await client.get("/documents/7")).status_code == 404
    finally:
        registry.unregister("documents")
