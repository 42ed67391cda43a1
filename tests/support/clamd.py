"""Debian's clamd with three signatures of our own, for as long as a `with` block lasts."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.patience import HANGS

VIRUSES = {f"Test.Virus.{name}": f"the {name} virus of the tests".encode() for name in ("One", "Two", "Three")}
"""What the daemon finds, by the names it gives; it puts ``.UNOFFICIAL`` behind them."""

VIRUS = VIRUSES["Test.Virus.Two"]
VIRUS_NAME = "Test.Virus.Two.UNOFFICIAL"

MIB = 1 << 20
LARGEST = 2 * MIB  # its MaxFileSize
LONGEST_STREAM = 4 * MIB
_DIES_WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL")  # of util-linux, which every Debian has


@dataclass(frozen=True, slots=True)
class Clamd:
    """A running daemon: `path` and `address` are two ways to it."""

    path: str
    address: str
    pid: int


@contextmanager
def clamd_server(program: str, *settings: str) -> Iterator[Clamd]:
    with TemporaryDirectory(prefix="clamd-") as name, closing(socket.create_server(("127.0.0.1", 0))) as taken:
        folder, port = Path(name), taken.getsockname()[1]
        (folder / "tests.ndb").write_text("".join(f"{key}:0:*:{value.hex()}\n" for key, value in VIRUSES.items()))
        lines = [
            "Foreground yes",
            f"DatabaseDirectory {folder}",
            f"TemporaryDirectory {folder}",
            f"LocalSocket {folder}/socket",
            "TCPAddr 127.0.0.1",
            f"TCPSocket {port}",
            f"MaxFileSize {LARGEST}",
            f"StreamMaxLength {LONGEST_STREAM}",
            *settings,
        ]
        (folder / "clamd.conf").write_text("\n".join(lines) + "\n")
        taken.close()
        with (folder / "log").open("wb") as log:
            command = [*_DIES_WITH_ITS_PARENT, program, "-c", str(folder / "clamd.conf")]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, folder)
            yield Clamd(f"{folder}/socket", f"127.0.0.1:{port}", process.pid)
        finally:
            process.kill()
            process.wait()


def found_clamd() -> str | None:
    """The program, which Debian keeps where not every PATH leads."""
    return shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/usr/local/sbin")


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + HANGS
    while not _answers(folder / "socket"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"clamd did not start: {(folder / 'log').read_text(errors='replace')}")
        time.sleep(0.01)


def _answers(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as asking:
        try:
            asking.connect(str(path))
            asking.sendall(b"zPING\0")
            return asking.recv(5) == b"PONG\0"
        except OSError:
            return False
