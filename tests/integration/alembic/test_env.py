"""Projects whose env.py is Alembic's own, and projects that have lost this package."""

import subprocess
import sys

import alembic
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text

from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import FixedType
from tests.support.migrations import COMMANDS, METADATA
from tests.support.packages import python, without_package
from tests.support.patience import HANGS

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HAS_PLUGINS = tuple(int(part) for part in alembic.__version__.split(".")[:2]) >= (1, 18)
LINE = "" if HAS_PLUGINS else "from async_storages.integrations import alembic as f; f.enable()"
UNPLUGGED = "autogenerate_plugins=['alembic.autogenerate.*', '~alembic.autogenerate.async_storages']"


def table(type_):
    columns = (Column("id", Integer, primary_key=True), Column("file", type_), Column("text", Text))
    return Table("documents", MetaData(), *columns).metadata


@pytest.mark.parametrize("template", ["generic", "async", "pyproject"])
def test_nothing_has_to_be_configured(project, template):
    text = project(f"alembic:{template}", table(FileType("documents")), "", LINE).migrate()

    assert "sa.Column('file', sa.Unicode(length=1024), nullable=True)" in text
    assert "async_storages" not in text


def test_renaming_the_class_of_a_type_changes_nothing(project):
    project = project("alembic:generic", table(FixedType()), "", LINE)
    project.migrate()

    for type_ in (FileType("other", folder="new"), ImageType()):
        project.metadata = table(type_)
        project.run("check")


def test_class_of_the_project_is_written_with_its_import(project):
    text = project("alembic:generic", table(FixedType()), "async_storages_render='class'", LINE).migrate()

    assert "import tests.support.documents\n" in text
    assert "sa.Column('file', tests.support.documents.FixedType(length=1024), nullable=True)" in text


OWN = """
def own(kind, item, context):
    config.attributes["seen"].append((kind, type(item).__name__))
    return "sa.UnicodeText()" if type(item).__name__ == {!r} else False
"""


@pytest.mark.parametrize(
    ("answered", "file", "text"),
    [("Text", "sa.Unicode(length=1024)", "sa.UnicodeText()"), ("FileType", "sa.UnicodeText()", "sa.Text()")],
    ids=["for another type", "for FileType"],
)
def test_the_users_own_render_item_comes_first_and_once(project, answered, file, text):
    project = project("alembic:generic", table(FileType()), "render_item=own", f"{LINE}\n{OWN.format(answered)}")
    project.config.attributes["seen"] = seen = []

    written = project.generate().read_text()

    assert f"sa.Column('file', {file}" in written
    assert f"sa.Column('text', {text}" in written
    assert [seen.count(("type", type_)) for type_ in ("Integer", "FileType", "Text")] == [1, 1, 1]


CUSTOM_TYPES = """
from async_storages import MemoryStorage
from async_storages.integrations.sqlalchemy import FileType as _FileType

storage = MemoryStorage()


class FileType(_FileType):
    def __init__(self, *args, **kwargs):
        super().__init__(storage=storage, *args, **kwargs)
"""
MODELS = """
from custom_types import FileType
from sqlalchemy import Column, Integer, MetaData, Table

metadata = MetaData()
Table("documents", metadata, Column("id", Integer, primary_key=True), Column("file", FileType))
"""


@pytest.mark.parametrize(
    ("configure", "type_"),
    [("", "sa.Unicode"), (UNPLUGGED, "custom_types.FileType")] if HAS_PLUGINS else [("", "custom_types.FileType")],
    ids=["as installed", "plugin switched off"][: 1 + HAS_PLUGINS],
)
def test_the_manual_way(project, tmp_path, configure, type_):
    project = project("alembic:generic", None, configure)
    (tmp_path / "custom_types.py").write_text(CUSTOM_TYPES)
    (tmp_path / "models.py").write_text(MODELS)
    project.edit(
        "migrations/script.py.mako", "import sqlalchemy as sa\n", "import sqlalchemy as sa\nimport custom_types\n"
    )
    project.edit("migrations/env.py", METADATA, "from models import metadata as target_metadata")

    command = [sys.executable, "-W", "error", "-c", COMMANDS, "revision --autogenerate", "upgrade head", "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=HANGS, check=False)

    assert done.returncode == 0, done.stderr
    [path] = (tmp_path / "migrations/versions").glob("*.py")
    assert f"sa.Column('file', {type_}(length=1024), nullable=True)" in path.read_text()
    assert project.tables() == {"documents"}


@pytest.mark.parametrize("template", ["alembic:generic", "generic", "async", "pyproject"])
def test_migrations_run_where_the_package_is_gone(project, tmp_path, template):
    project = project(template, table(FileType()), "", LINE)
    project.generate()
    project.edit("migrations/env.py", f"{LINE}\n{METADATA}", "target_metadata = None")
    installed = without_package(tmp_path / "installed")
    assert (
        "No module named 'async_storages'"
        in python("-c", "import async_storages", cwd=tmp_path, paths=[installed]).stderr
    )

    done = python("-m", "alembic", "upgrade", "head", cwd=tmp_path, paths=[installed])

    assert done.returncode == 0, done.stderr
    assert project.tables() == {"documents"}
