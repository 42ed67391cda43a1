"""The picture of ``async-storages migrate run`` for the documentation: ``python -m tools.move_recording``.

It runs the real commands in a terminal of its own, on PostgreSQL and two folders, and draws what they print when a part
of the files is moved.
"""

import os
import pty
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from async_storages.testing.postgres import postgres_server

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "migrate-run.svg"
FILES, SIZE = 2000, 10 << 10
WIDTH = 110
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts of another site: the reader's own will do."""

PART = re.compile(rb"(\d+) %")
SHOWN = 60
"""Percent of the files that are moved in the picture."""

APP = f"""
import asyncio, os
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from async_storages import LocalStorage, StoredFile
from async_storages.integrations.sqlalchemy import FileType, Migration

class Base(DeclarativeBase):
    pass

files = LocalStorage("files")

class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType(files), index=True)

engine = create_async_engine(os.environ["DATABASE"])
migration = Migration(engine, Base.metadata, source=files.within("old"), target=files.within("new"))

async def fill():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine).begin() as session:
        for number in range({FILES}):
            file = await files.save(os.urandom({SIZE}), f"{{number}}.pdf", folder=f"old/{{number // 1000}}")
            session.add(Document(file=file))
    await engine.dispose()

if __name__ == "__main__":
    asyncio.run(fill())
"""


def main() -> None:
    """Take it."""
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        server.create_database("shop")
        os.environ |= {"DATABASE": server.url("shop"), "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        os.chdir(folder)
        Path("shop.py").write_text(APP)
        run([sys.executable, "shop.py"])
        console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
        for command in ("plan", "run"):
            console.print(f"[bold green]$[/] async-storages migrate {command} --app shop:migration")
            frames = run([sys.executable, "-m", "async_storages", "migrate", command, "--app", "shop:migration"])
            shown = frames[-1] if command == "plan" else next(each for each in frames if part_of(each) >= SHOWN)
            console.print(Text.from_ansi(shown.decode().strip()))
        picture = console.export_svg(title="async-storages migrate", unique_id="migrate")
        PICTURE.write_text(FONTS.sub("", picture))


def run(command: list[str]) -> list[bytes]:
    """All states of the line that a command draws in a terminal, and the lines that it leaves."""
    return [line for line in re.split(rb"[\r\n]+|\x1b\[2K", b"".join(output(command))) if line.strip()]


def output(command: list[str]) -> Iterator[bytes]:
    """All that a command writes to its terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)  # noqa: S606 - its own terminal is what it is for
    with suppress(OSError):  # it has ended
        while chunk := os.read(terminal, 1 << 16):
            yield chunk
    os.close(terminal)
    if status := os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
        raise RuntimeError(f"{command} ended with {status}")


def part_of(frame: bytes) -> int:
    """The percentage that a state of the line shows; 0 if it shows none."""
    found = PART.search(re.sub(rb"\x1b\[[\d;?]*[a-zA-Z]", b"", frame))
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
