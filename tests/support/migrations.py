"""A folder with an Alembic project, driven through Alembic's commands in this process."""

import io
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text

HAS_PYPROJECT = "toml_file" in signature(Config).parameters
ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "migrations_template"
COMMANDS = "import sys; from alembic.config import main; [main(argv=each.split()) for each in sys.argv[1:]]"
METADATA = 'target_metadata = config.attributes["metadata"]'
SYNCHRONOUS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite", "mysql": "mysql+pymysql"}


def synchronous(url):
    """The same database through a driver for synchronous engines."""
    url = make_url(url)
    return url.set(drivername=SYNCHRONOUS[url.get_backend_name()]).render_as_string(hide_password=False)


class Project:
    """What `alembic init -t template migrations` makes, on a database.

    Args:
        folder: Where it is made.
        template: One of ours, or ``alembic:name``, one of Alembic's.
        url: Of the database, with an asynchronous driver, which the template "async" takes as it is.
        metadata: What migrations are generated from; it may be set to another one later.
        configure: More arguments for `context.configure`, as they are written in env.py.
        prelude: Lines of env.py before that.
    """

    def __init__(self, folder, template, url, metadata, configure="", prelude=""):
        self.folder = folder
        self.engine_url = synchronous(url)
        self.metadata = metadata
        self.output = io.StringIO()
        self.config = Config(folder / "alembic.ini", *self._settings(), output_buffer=self.output)
        owner, _, name = template.rpartition(":")
        if name == "pyproject" and not HAS_PYPROJECT:
            pytest.skip("Alembic reads pyproject.toml from 1.16 on")
        command.init(self.config, str(folder / "migrations"), name if owner else str(TEMPLATES / name))
        used = url if name == "async" else self.engine_url
        self.edit("alembic.ini", "driver://user:pass@localhost/dbname", used.replace("%", "%%"))
        self.edit("migrations/env.py", "target_metadata = None", f"{prelude}\n{METADATA}")
        if configure:
            self.edit("migrations/env.py", "=target_metadata", f"=target_metadata, {configure}")

    def _settings(self):
        """The second file of settings, which Alembic reads from 1.16 on."""
        return [self.folder / "pyproject.toml"] if HAS_PYPROJECT else []

    def edit(self, name, old, new):
        path = self.folder / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))

    def run(self, name, *args, **options):
        self.config.attributes["metadata"] = self.metadata
        return getattr(command, name)(self.config, *args, **options)

    def generate(self):
        """The path of a new migration."""
        return Path(self.run("revision", "changes", autogenerate=True).path)

    def write(self, *lines):
        """A new migration with these lines in its upgrade."""
        path = Path(self.run("revision", "by hand").path)
        body = "\n    ".join(lines)
        path.write_text(path.read_text().replace("def upgrade() -> None:\n", f"def upgrade() -> None:\n    {body}\n"))

    def migrate(self):
        """Generate a migration, run it, see that nothing is left to migrate, and return its text."""
        path = self.generate()
        self.run("upgrade", "head")
        self.run("check")
        return path.read_text()

    def sql(self):
        """What `alembic upgrade head --sql` prints."""
        self.run("upgrade", "head", sql=True)
        return self.output.getvalue()

    @contextmanager
    def connection(self):
        """A connection to the database, in a transaction that is committed."""
        engine = create_engine(self.engine_url)
        with engine.begin() as connection:
            yield connection
        engine.dispose()

    def execute(self, statement):
        """Run a statement; its rows, if it has any."""
        with self.connection() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def differences(self):
        """Between the database and the metadata, whichever revision the database is at."""
        with self.connection() as connection:
            return compare_metadata(MigrationContext.configure(connection), self.metadata)

    def tables(self):
        """The tables of the database but Alembic's own."""
        with self.connection() as connection:
            return set(inspect(connection).get_table_names()) - {"alembic_version"}
