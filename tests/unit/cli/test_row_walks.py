"""``async-storages facts`` and ``verify`` on a real application in a folder."""

import json

import pytest

from async_storages import LocalStorage
from tests.unit.cli.test_app import run

APPLICATION = """
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import LocalStorage, StoredFile
from async_storages.integrations.sqlalchemy import FileType

storage = LocalStorage("files")
engine = create_async_engine("sqlite+aiosqlite:///app.sqlite")


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType(storage, size="size", sha256="sha256"))
    size: Mapped[int | None]
    sha256: Mapped[str | None]
    title: Mapped[str | None]
"""
SETUP = """
import asyncio
from sqlalchemy import text
from shop import Base, engine

async def main():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(text("INSERT INTO documents (id, file) VALUES (1, 'file:a.txt'), (2, 'file:b.txt')"))
    await engine.dispose()

asyncio.run(main())
"""
URL = "sqlite+aiosqlite:///app.sqlite"


@pytest.fixture
async def application(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(APPLICATION)
    async with LocalStorage(tmp_path / "files") as storage:
        await storage.upload(b"four", "a.txt")
        await storage.upload(b"eleven", "b.txt")
    return tmp_path


@pytest.fixture
def rows(application):
    done = run("--version", prelude=f"import sys\nsys.path.insert(0, '')\n{SETUP}")
    assert done.returncode == 0, done.stderr
    return application


@pytest.mark.parametrize("database", [URL, "shop:engine"])
def test_rows_are_filled(rows, database):
    done = run("facts", "shop:Document.file", "--database", database)
    assert (done.returncode, done.stdout) == (0, "2 rows read, 2 filled, 0 files missing, 0 failed\n")
    assert run("facts", "shop:Document.file", "--database", database).stdout.startswith("0 rows read")


def test_json(rows):
    done = run("facts", "shop:Document.file", "--database", URL, "--json")
    assert json.loads(done.stdout) == {"rows": 2, "filled": 2, "missing": [], "failed": {}}


def test_a_missing_file_gives_exit_code_1(rows):
    (rows / "files" / "a.txt").unlink()
    done = run("facts", "shop:Document.file", "--database", URL)
    assert done.returncode == 1
    assert done.stdout == "2 rows read, 1 filled, 1 file missing, 0 failed\nmissing: file:a.txt\n"


@pytest.mark.parametrize(
    ("attribute", "database", "problem"),
    [
        ("shop.Document.file", URL, "not of the form module:name"),
        ("shap:Document.file", URL, "'shap:Document.file' cannot be imported"),
        ("shop:Document.fiel", URL, "'shop:Document.fiel' cannot be imported"),
        ("shop:Document.title", URL, "give a mapped file column, such as Document.file, not Document.title"),
        ("shop:Document.file", "shop:storage", "'shop:storage' is a LocalStorage, not an AsyncEngine"),
        ("shop:Document.file", "nonsense://x", "the URL of the database cannot be used"),
        ("shop:Document.file", "sqlite:///app.sqlite", "the URL of the database cannot be used"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(application, attribute, database, problem):
    done = run("facts", attribute, "--database", database)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_verify_finds_rows_right_wrong_and_without_a_file(rows):
    run("facts", "shop:Document.file", "--database", URL)
    done = run("verify", "shop:Document.file", "--database", URL, "--content")
    assert (done.returncode, done.stdout) == (0, "2 rows read, 2 right, 0 wrong, 0 files missing, 0 failed\n")
    (rows / "files" / "a.txt").write_bytes(b"FOUR")
    (rows / "files" / "b.txt").unlink()
    assert run("verify", "shop:Document.file", "--database", URL).stdout.splitlines() == [
        "2 rows read, 1 right, 0 wrong, 1 file missing, 0 failed",
        "missing: file:b.txt",
    ]
    done = run("verify", "shop:Document.file", "--database", URL, "--content")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "2 rows read, 0 right, 1 wrong, 1 file missing, 0 failed"
    assert "wrong: file:a.txt: SHA-256" in done.stdout
    done = run("verify", "shop:Document.file", "--database", URL, "--content", "--json")
    assert json.loads(done.stdout)["missing"] == ["file:b.txt"]


def test_verify_refuses_what_is_no_file_column(application):
    done = run("verify", "shop:Document.title", "--database", URL)
    assert (done.returncode, done.stdout) == (2, "")
    assert "give a mapped file column, such as Document.file, not Document.title" in done.stderr
