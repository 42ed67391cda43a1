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


def test_missing_extra_is_one_sentence():
    done = run("doctor", prelude="import sys\nsys.modules['typer'] = None")

    assert done.returncode == 1
    assert done.stderr == 'the command line needs its extra: run  pip install "sqlalchemy-async-storages[cli]"\n'


def test_doctor_says_that_an_s3_server_cannot_be_reached():
    keys = "import os\nos.environ |= {'AWS_ACCESS_KEY_ID': 'a', 'AWS_SECRET_ACCESS_KEY': 'b'}"
    done = run("doctor", "--s3", "photos", "--endpoint-url", "http://127.0.0.1:1", prelude=keys)

    assert (done.returncode, done.stderr) == (1, "1 problem found\n")
    assert "ping 'photos'" in done.stdout
    assert "is http://127.0.0.1:1/photos right" in done.stdout


def test_doctor_says_how_to_install_what_s3_needs():
    done = run("doctor", "--s3", "photos", prelude="import sys\nsys.modules['aiohttp'] = None")

    assert done.returncode == 1
    assert done.stderr == 'S3 needs its extra: run  pip install "sqlalchemy-async-storages[s3]"\n'


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("s3:photos", 'S3Storage needs aiohttp: run  pip install "sqlalchemy-async-storages[s3]"'),
        ("gs:photos", 'GCSStorage needs aiohttp: run  pip install "sqlalchemy-async-storages[gcs]"'),
    ],
)
def test_a_place_says_how_to_install_what_it_needs(place: str, sentence: str):
    done = run("ls", place, prelude="import sys\nsys.modules['aiohttp'] = None")

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{sentence}\n")


@pytest.mark.parametrize("command", ["ls", "migrate plan", "ledger drain"])
def test_the_help_of_app_names_the_section_of_pyproject(command: str):
    assert "[tool.async_storages]" in run(*command.split(), "--help").stdout


@pytest.mark.parametrize("command", ["ls", "cp", "mv", "rm", "cat", "stat", "presign", "doctor", "facts", "verify"])
def test_each_command_explains_itself(command: str):
    done = run(command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: async-storages" in done.stdout


def test_without_arguments_the_commands_are_listed():
    done = run()

    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name in ("ls", "cp", "ledger", "doctor", "--install-completion"))


def test_completion_knows_the_commands():
    asked = {"_ASYNC_STORAGES_COMPLETE": "complete_bash", "COMP_WORDS": "async-storages pre", "COMP_CWORD": "1"}
    prelude = f"import os\nos.environ |= {asked}"
    done = run(prelude=prelude)

    assert done.stdout.split() == ["presign"]


def test_an_error_of_the_program_itself_is_not_hidden():
    done = run(
        "alembic-template",
        "async",
        prelude="import async_storages.cli.alembic_templates as t\nt.folders = lambda: 1 / 0",
    )

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
