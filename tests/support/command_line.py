"""The command line as a process: what it prints, and how it ends."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.patience import HANGS

COMMAND = [sys.executable, "-W", "error", "-m", "async_storages"]

LEDGER_APP = """
import asyncio
import sys

from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import LocalStorage, PendingFile, StoredFile
from async_storages.integrations.sqlalchemy import FileLedger, FileType, enable_file_tracking

storage = LocalStorage("files", name="documents")
engine = create_async_engine("URL")


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents"), index=True)


ledger = FileLedger(engine, Base.metadata)
sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)


async def make_ledger():
    return ledger


class Web:
    async def __call__(self, scope, receive, send):
        pass


serve = Web()


def make_nonsense():
    return 7


def fail():
    raise RuntimeError("no settings")


async def setup():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await ledger.create()
    async with sessions.begin() as session:
        session.add(Document(id=1, file=PendingFile(b"named", filename="named.txt")))
    await engine.dispose()


async def forget_row():
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM documents"))
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]]())
"""
"""A module `shop` with a folder, a database and a ledger; URL is the database."""


def environment(**more: str) -> dict[str, str]:
    """The variables of a process that knows no storage but those of `more`."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("ASYNC_STORAGES_", "AWS_", "GOOGLE_"))
    }
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    return own | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": path, "AWS_EC2_METADATA_DISABLED": "true"} | more


class Forked:
    """The process that forks for commands."""

    process: subprocess.Popen[str] | None = None


@contextmanager
def forking() -> Iterator[None]:
    """Let `run` fork a process that has imported everything: a second is saved for each command."""
    script = Path(__file__).with_name("command_line_processes.py")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, "-W", "error", script], env=environment(), encoding="utf-8", **pipes
    ) as process:
        Forked.process = process
        try:
            yield
        finally:
            Forked.process = None
            process.stdin.close()


def run(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: bytes | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in ("stdin", "stdout", "stderr")}
        files["stdin"].write_bytes(stdin or b"")
        command = {
            "arguments": arguments,
            "cwd": str(cwd),
            "env": env or environment(),
            **{k: str(v) for k, v in files.items()},
        }
        Forked.process.stdin.write(json.dumps(command) + "\n")
        Forked.process.stdin.flush()
        code = int(Forked.process.stdout.readline())
        shown = [files[name].read_bytes().decode(errors="surrogateescape") for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess(arguments, code, *shown)


def ledger_app(folder: Path, url: str) -> None:
    """Write the module `shop`, and make its tables, one row and its file."""
    (folder / "shop.py").write_text(LEDGER_APP.replace("URL", url), encoding="utf-8")
    run_app(folder, "setup")


def run_app(folder: Path, function: str, *, module: str = "shop") -> None:
    """Run a function of a module, by default `shop`."""
    command = [sys.executable, "-W", "error", f"{module}.py", function]
    subprocess.run(command, cwd=folder, env=environment(), timeout=HANGS, check=True)
