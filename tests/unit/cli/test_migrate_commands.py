"""``async-storages migrate``, with a migration of the user's."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.support.patience import HANGS

SHOP = """
import asyncio
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from async_storages import LocalStorage, StorageManager, StoredFile
from async_storages.integrations.sqlalchemy import FileType, Migration

class Base(DeclarativeBase): pass
root = LocalStorage("files")
class Paper(Base):
    __tablename__ = "papers"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType(root), index=True)
engine = create_async_engine("sqlite+aiosqlite:///shop.sqlite")
def migration():
    return Migration(engine, Base.metadata, source=root.within("old"), target=root.within("new"))
async def fill():
    migration()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine).begin() as session:
        for name in "abc":
            session.add(Paper(file=await root.save(name.encode(), f"{name}.txt", folder="old")))
    await engine.dispose()
if __name__ == "__main__":
    asyncio.run(fill())
"""


@pytest.fixture
def command(tmp_path):
    """A function that runs a command with the migration of a shop with three files."""
    (tmp_path / "shop.py").write_text(SHOP)
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    options = {"cwd": tmp_path, "env": environment, "capture_output": True, "encoding": "utf-8", "timeout": HANGS}
    subprocess.run([sys.executable, "shop.py"], check=True, **options)

    def command(*arguments):
        line = [sys.executable, "-m", "async_storages", "migrate", *arguments, "--app", "shop:migration"]
        return subprocess.run(line, check=False, **options)

    return command


def told(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_from_the_plan_to_the_finish(command, tmp_path):
    assert told(command("plan", "--dry-run", "--json")) == {"rows": 3, "added": 0, "again": 0}
    assert told(command("plan", "--json"))["added"] == 3
    assert told(command("run", "--limit", "1", "--json"))["moved"] == 1
    assert told(command("run", "--workers", "2", "--json"))["moved"] == 2
    status = told(command("status", "--json"))
    assert (status["moved"], status["planned"], status["failures"]) == (3, 0, [])
    assert told(command("rollback", "--limit", "1", "--json")) == {"undone": 1, "failed": 0}
    assert told(command("plan", "--json"))["again"] == 1
    assert told(command("run", "--json"))["moved"] == 1
    assert told(command("verify", "--content", "--json"))["right"] == 3
    assert command("export-map").stdout.count('"/old/') == 3
    assert told(command("finish", "--yes", "--json"))["deleted"] == 4
    assert len(list((tmp_path / "files" / "new").iterdir())) == 3


def test_exit_codes_and_words(command, tmp_path):
    assert "3 added" in command("plan").stderr
    for path in (tmp_path / "files" / "old").iterdir():
        path.unlink()
    done = command("run")
    assert (done.returncode, done.stdout) == (1, "")
    assert "3 missing" in done.stderr
    status = command("status")
    assert "missing: 3" in status.stdout
    assert "no such file" in status.stdout
    refused = command("finish")
    assert refused.returncode == 2
    assert "say --yes" in refused.stderr


def test_what_is_no_migration(command, tmp_path):
    line = [sys.executable, "-m", "async_storages", "migrate", "status", "--app", "shop:engine"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=HANGS, check=False)
    assert done.returncode == 2
    assert "needs a Migration" in done.stderr


def test_a_run_shows_on_a_terminal_how_much_is_done_and_left(command, tmp_path):
    told(command("plan", "--json"))
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.environ |= {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "xterm"}
        line = [sys.executable, "-m", "async_storages", "migrate", "run", "--app", "shop:migration"]
        os.execv(sys.executable, line)
    shown = b""
    with suppress(OSError):  # it has ended
        while chunk := os.read(terminal, 1 << 16):
            shown += chunk
    os.close(terminal)
    assert os.waitpid(process, 0)[1] == 0
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    assert "100 %" in text
    assert re.search("left +3 moved, 0 gone, 0 missing, 0 failed, 3 B", text)
    assert text.split("\r")[-2:] == ["3 moved, 0 gone, 0 missing, 0 failed, 3 B", "\n"]
