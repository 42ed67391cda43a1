"""The tutorial, walked as a reader does: its programs are served, its commands run, its answers compared.

``python`` blocks with a model are the whole ``app.py``. ``sh`` blocks run in their order; ``uvicorn app:app`` starts
the server again. Blocks with ``pip install`` and ``bash`` blocks do not run. A ``py`` block replaces the line of
``env.py`` that the page names before it.
"""

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.images import encode
from tests.support.patience import HANGS

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial"
STEPS = ["2-fastapi", "3-images", "4-s3", "5-ledger", "6-alembic"]
BLOCK = re.compile(
    r'^```(?P<language>python|py|sh)(?: hl_lines="(?P<changed>[^"]*)")?\n(?P<code>.*?)^```\n'
    r"(?:\n```text\n(?P<output>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)
SERVED = "uvicorn app:app"
RUNNING = re.compile(r"Uvicorn running on (http://\S+)")


def blocks(step: str) -> list[re.Match[str]]:
    return list(BLOCK.finditer((TUTORIAL / f"{step}.md").read_text(encoding="utf-8")))


def is_application(block: re.Match[str]) -> bool:
    return block["language"] == "python" and "sqlalchemy" in block["code"]


def program(step: str) -> str:
    [code] = [block["code"] for block in blocks(step) if is_application(block)]
    return code


class Reader:
    """Someone in a folder with a photograph, who does what the pages say."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.server: subprocess.Popen[str] | None = None
        self.url = ""

    def do(self, step: str) -> None:
        for block in blocks(step):
            if is_application(block):
                self.stop()
                (self.folder / "app.py").write_text(block["code"], encoding="utf-8")
            elif block["language"] == "py":
                self.edit(block["code"])
            elif block["language"] == "sh" and "pip install" not in block["code"]:
                self.run(block["code"], block["output"])

    def edit(self, code: str) -> None:
        path = self.folder / "migrations" / "env.py"
        text = path.read_text(encoding="utf-8")
        assert text.count("target_metadata = None\n") == 1
        path.write_text(text.replace("target_metadata = None\n", code), encoding="utf-8")

    def run(self, code: str, output: str | None) -> None:
        before, served, after = code.partition(SERVED)
        assert not after.strip(), "the server is the last command of its block"
        if before:
            script = before.replace("localhost:8000", self.url.removeprefix("http://"))
            done = subprocess.run(
                ["bash", "-e", "-c", script],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                encoding="utf-8",
                timeout=HANGS,
                check=False,
            )
            assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
            if output is not None:
                assert done.stdout.rstrip("\n") == output.rstrip("\n"), code  # JSON ends without a line's end
        if served:
            self.start()

    def start(self) -> None:
        self.stop()
        command = [sys.executable, "-W", "error", "-m", "uvicorn", "app:app", "--port", "0"]
        self.server = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, encoding="utf-8", bufsize=1
        )
        assert self.server.stderr is not None
        said = []
        for line in self.server.stderr:
            said.append(line)
            if found := RUNNING.search(line):
                self.url = found[1]
                return
        pytest.fail("".join(said), pytrace=False)

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            _, said = self.server.communicate(timeout=HANGS)
            self.server = None
            assert "Traceback" not in said, said


@contextmanager
def reading(folder: Path, environment: dict[str, str]) -> Iterator[Reader]:
    (folder / "cat.jpg").write_bytes(encode("JPEG", (2000, 1500)))
    reader = Reader(folder, environment)
    try:
        yield reader
        reader.stop()
    finally:
        if reader.server is not None:
            reader.server.kill()
            reader.server.communicate()


@pytest.fixture
def environment() -> dict[str, str]:
    """The terminal of the reader, with the commands of this environment."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(TUTORIAL.parents[1]),
    }


@pytest.fixture
def bucket(s3_server, s3_bucket) -> dict[str, str]:
    """The variables that step 4 exports."""
    return {
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        "BUCKET": s3_bucket,
    }


@pytest.mark.parametrize("step", STEPS)
def test_a_step_works_in_an_empty_folder(step, tmp_path, environment, bucket):
    with reading(tmp_path, environment | (bucket if step == "4-s3" else {})) as reader:
        reader.do(step)


def test_the_last_step_is_deployed_on_postgresql_and_s3(tmp_path, environment, bucket, postgres_database):
    with reading(tmp_path, environment | bucket | {"DATABASE_URL": postgres_database}) as reader:
        reader.do("6-alembic")


@pytest.mark.parametrize(("before", "after"), list(pairwise(STEPS)))
def test_the_changed_lines_are_highlighted(before, after):
    [shown] = [block["changed"] for block in blocks(after) if block["changed"]]
    lines = program(before).splitlines(), program(after).splitlines()
    changes = difflib.SequenceMatcher(None, *lines, autojunk=False).get_opcodes()
    expected = [(first + 1, last) for tag, _, _, first, last in changes if tag in {"insert", "replace"}]
    assert shown == " ".join(str(first) if first == last else f"{first}-{last}" for first, last in expected)
