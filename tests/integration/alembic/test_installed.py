"""A new project in an empty folder, with the wheel installed."""

import subprocess
import sys
import zipfile

import pytest

from tests.support.migrations import COMMANDS, ROOT
from tests.support.packages import python, without_package

FILES = [
    f"{template}/{name}"
    for template in ("async", "generic", "pyproject")
    for name in ("README", "alembic.ini.mako", "env.py", "script.py.mako")
]
MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table
from async_storages.integrations.sqlalchemy import FileType

metadata = MetaData()
Table("documents", metadata, Column("id", Integer, primary_key=True), Column("file", FileType("documents")))
"""


@pytest.fixture
def installed(tmp_path_factory):
    """Folders with the wheel and with all that it needs."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
        assert {f"async_storages/migrations_template/{name}" for name in FILES} <= set(archive.namelist())
    return folder / "wheel", without_package(folder / "others")


def test_project_starts_from_a_template_of_the_wheel(installed, tmp_path):
    def run(*arguments):
        done = python(*arguments, cwd=tmp_path, paths=installed)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def edit(name, old, new):
        path = tmp_path / name
        path.write_text(path.read_text().replace(old, new))

    folder = run("-m", "async_storages", "alembic-template", "async").strip()
    assert folder.startswith(str(installed[0]))
    run("-m", "alembic", "init", "-t", folder, "migrations")
    edit("alembic.ini", "driver://user:pass@localhost/dbname", "sqlite+aiosqlite:///app.db")
    edit("migrations/env.py", "target_metadata = None", "from models import metadata as target_metadata")
    (tmp_path / "models.py").write_text(MODELS)

    run("-c", COMMANDS, "revision --autogenerate -m documents", "upgrade head", "check")

    [migration] = (tmp_path / "migrations/versions").glob("*_documents.py")
    assert "sa.Column('file', sa.Unicode(length=1024), nullable=True)" in migration.read_text()
