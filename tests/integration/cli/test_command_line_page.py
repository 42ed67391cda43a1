"""docs/reference/command-line.md: every command of the page, in its order, on a real S3 server."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import s3_environment
from tests.support.command_line import ledger_app
from tests.support.patience import HANGS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "command-line.md"
BLOCK = re.compile(r"^```sh\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```)?", re.DOTALL | re.MULTILINE)


@pytest.fixture
def photos(s3_server):
    s3_server.create_bucket("photos")
    yield
    s3_server.drop_bucket("photos")


def test_the_commands_print_what_the_page_says(photos, s3_server, home):
    ledger_app(home, "sqlite+aiosqlite:///app.sqlite")
    (home / "report.txt").write_text("All is well.\n")
    (home / "pictures" / "zoo").mkdir(parents=True)
    (home / "pictures" / "cat.txt").write_text("cat")
    (home / "pictures" / "zoo" / "dog.txt").write_text("dog")
    env = s3_environment(s3_server)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"

    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        command = ["bash", "-e", "-c", block["code"]]
        done = subprocess.run(
            command, cwd=home, env=env, capture_output=True, encoding="utf-8", timeout=HANGS, check=False
        )
        assert (done.returncode, done.stdout) == (0, block["output"] or ""), done.stderr


def test_every_command_and_exit_code_stands_on_the_page():
    from async_storages.cli.app import app

    text = PAGE.read_text(encoding="utf-8")
    names = [
        " ".join(filter(None, [group.name, command.name or command.callback.__name__]))
        for group in app.registered_groups
        for command in group.typer_instance.registered_commands
    ]
    assert [name for name in names if f"`{name}" not in text] == []
