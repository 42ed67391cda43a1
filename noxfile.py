"""What depends on SQLAlchemy and Alembic, with the oldest and the newest of them: ``pipx run nox``.

``nox --list`` lists the combinations; ``nox -s "versions-3.13(sqlalchemy='newest', alembic='oldest')" -- -x`` runs one,
with arguments for pytest. A Python that is not installed is skipped.
"""

import nox

TESTS = ["tests/integration/alembic", "tests/integration/sqlalchemy", "tests/integration/transactions"]
TESTS += ["tests/unit/integrations", "tests/unit/cli"]
PSYCOPG = {"ASYNC_STORAGES_POSTGRES_DRIVER": "psycopg"}


@nox.session(python=["3.12", "3.13"])
@nox.parametrize("alembic", ["oldest", "newest"])
@nox.parametrize("sqlalchemy", ["oldest", "newest"])
def versions(session: nox.Session, sqlalchemy: str, alembic: str) -> None:
    """Run the tests with aiosqlite and asyncpg, and those on PostgreSQL again with psycopg."""
    session.install("--upgrade", "pip>=25.1")
    wanted = {"sqlalchemy": sqlalchemy, "alembic": alembic}
    lowest = session.run("python", "tools/lowest.py", silent=True).split()
    pins = [pin for pin in lowest if wanted.get(pin.partition("==")[0]) == "oldest"]
    session.install("--upgrade", "--editable", ".[all]", "--group", "test", *pins)
    session.run("python", "-m", "pip", "list")
    session.run("pytest", *TESTS, *session.posargs)
    session.run("pytest", *TESTS, *session.posargs, "-k", "postgresql", env=PSYCOPG)
