"""The command ``async-storages``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from async_storages import __version__
from tests.support.patience import HANGS


def run(*arguments: str, prelude: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{prelude}\nfrom async_storages.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        timeout=HANGS,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [[str(Path(sys.executable).parent / "async-storages")], [sys.executable, "-m", "async_storages"]],
    ids=["async-storages", "python -m async_storages"],
)
def test_both_spellings_give_the_version(command: list[str]):
    done = subprocess.run([*command, "--version"], capture_output=True, encoding="utf-8", timeout=HANGS, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"async-storages {__version__}\n", "")


def test_doctor_lists_what_each_extra_needs():
    done = run("doctor")

    assert done.returncode == 0
    assert any("sqlalchemy" in line and "2." in line for line in done.stdout.splitlines())


def test_doctor_says_how_to_install_what_is_missing():
    hide_pillow = """
import importlib.metadata as m
real = m.version
def version(name):
    if name == "pillow":
        raise m.PackageNotFoundError(name)
    return real(name)
m.version = version
"""
    assert 'pip install "sqlalchemy-async-storages[images]"' in run("doctor", prelude=hide_pillow).stdout


def test_doctor_tries_a_folder_and_leaves_nothing_in_it(tmp_path: Path):
    done = run("doctor", "--root", str(tmp_path))

    assert done.returncode == 0
    assert done.stdout.count(" ok ") == 4
    assert [path.name for path in tmp_path.iterdir()] == [".async_storages"]


def test_doctor_fails_on_a_folder_that_cannot_be_written(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")

    done = run("doctor", "--root", str(blocked / "below"))

    assert done.returncode == 1
    assert "write" in done.stdout
    assert "Traceback" not in done.stderr


def test_missing_extra_is_one_sentence():
    done = run("doctor", prelude="import sys\nsys.modules['typer'] = None")

    assert done.returncode == 1
    assert done.stderr == 'the command line needs its extra: run  pip install "sqlalchemy-async-storages[cli]"\n'


def test_doctor_says_in_one_line_that_an_s3_server_cannot_be_reached():
    keys = "import os\nos.environ |= {'AWS_ACCESS_KEY_ID': 'a', 'AWS_SECRET_ACCESS_KEY': 'b'}"
    done = run("doctor", "--s3", "photos", "--endpoint-url", "http://127.0.0.1:1", prelude=keys)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "ping 'photos'" in done.stderr


def test_doctor_says_how_to_install_what_s3_needs():
    done = run("doctor", "--s3", "photos", prelude="import sys\nsys.modules['aiohttp'] = None")

    assert done.returncode == 1
    assert done.stderr == 'S3 needs its extra: run  pip install "sqlalchemy-async-storages[s3]"\n'
