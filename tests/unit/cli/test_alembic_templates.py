"""``async-storages alembic-template``."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import HANGS

TEMPLATES = Path(__file__).parents[3] / "migrations_template"
SPELLINGS = {
    "async-storages": [str(Path(sys.executable).parent / "async-storages")],
    "python -m async_storages": [sys.executable, "-m", "async_storages"],
}


def alembic_template(name: str, spelling: str = "async-storages") -> subprocess.CompletedProcess[str]:
    command = [*SPELLINGS[spelling], "alembic-template", name]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=HANGS, check=False)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_both_spellings_print_the_folder_alone(spelling: str):
    done = alembic_template("async", spelling)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{TEMPLATES / 'async'}\n", "")


@pytest.mark.parametrize("name", ["nonsense", "../migrations_template/async"])
def test_unknown_name_lists_what_there_is(name: str):
    done = alembic_template(name)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"no template is called {name!r}; there are: async, generic, pyproject\n"


@pytest.mark.parametrize("name", ["async", "generic", "pyproject"])
def test_first_line_of_the_readme_is_the_synopsis(name: str):
    first = (TEMPLATES / name / "README").read_text().splitlines()[0]

    assert first.startswith("One database")
    assert first.endswith(".")


def test_what_the_templates_share_is_the_same():
    def read(name: str) -> str:
        return (TEMPLATES / name).read_text()

    assert len({read(f"{name}/script.py.mako") for name in ("async", "generic", "pyproject")}) == 1
    assert read("generic/env.py") == read("pyproject/env.py")
    assert read("generic/alembic.ini.mako") == read("async/alembic.ini.mako")
