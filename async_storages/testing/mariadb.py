"""Run a real MariaDB server, from Debian's package `mariadb-server`, or a MySQL server, in a `with` block.

A second process runs this file as a script. It starts the server and prints its folder and port. When the test process
ends, in any way, the second process stops the server and deletes its files. If this process runs as root, the server
runs as ``nobody``. It listens on a Unix socket in its folder, and on a free port of this machine.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

__all__ = ["MariaDBServer", "mariadb_server"]

_USER = "root"
_HOST = "127.0.0.1"
_SOCKET = "socket"
_INSTALL = ("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
# The data need not outlive the server, but what is committed outlives a crash of it.
_SETTINGS = {
    "innodb-flush-method": "nosync",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-buffer-pool-size": "32M",
    "innodb-buffer-pool-load-at-startup": "off",
    "key-buffer-size": "1M",
    "performance-schema": "off",
    "character-set-server": "utf8mb4",
    "max-connections": "400",
}
_SETTINGS_OF_MARIADB = {"innodb-log-file-size": "16M", "aria-log-file-size": "8M"}
_SETTINGS_OF_MYSQL = {
    "innodb-redo-log-capacity": "32M",
    "skip-log-bin": "on",
    "mysqlx": "off",
    "secure-file-priv": "NULL",
}
_USER_BY_PORT = f"""\
CREATE USER '{_USER}'@'{_HOST}';
GRANT ALL ON *.* TO '{_USER}'@'{_HOST}' WITH GRANT OPTION;
"""
"""MySQL makes a user for the socket only."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it get random names
_MEMORY_NEEDED = 1 << 30
_SYSTEM_PROGRAMS = "/usr/sbin:/usr/local/sbin"
"""Folders of servers, which are not in every user's PATH."""


@dataclass(frozen=True, slots=True)
class MariaDBServer:
    """A running server, as `mariadb_server` yields it.

    Attributes:
        folder: The folder of its socket and its data.
        port: Its port on 127.0.0.1.
    """

    folder: Path
    port: int

    def url(self, database: str = "mysql", driver: str = "asyncmy") -> str:
        """Return the SQLAlchemy URL of a database, through the socket.

        Args:
            database: The name of the database.
            driver: The driver: asyncmy, aiomysql or pymysql.
        """
        return f"mysql+{driver}://{_USER}@localhost/{quote(database)}?unix_socket={self.folder / _SOCKET}"

    def create_database(self, name: str) -> None:
        """Create an empty database."""
        self._execute(f"CREATE DATABASE {_quoted(name)}")

    def drop_database(self, name: str) -> None:
        """Drop a database. It closes connections to the database first, because it would wait for their locks."""
        escaped = name.replace("\\", "\\\\").replace("'", "\\'")
        ids = self._execute(f"SELECT id FROM information_schema.processlist WHERE db = '{escaped}'").split()  # noqa: S608
        self._execute("".join(f"KILL {each};" for each in ids) + f"DROP DATABASE {_quoted(name)}", force=True)

    def _execute(self, statements: str, *, force: bool = False) -> str:
        """Execute statements. With `force`, go on after errors: a connection to close may have ended already."""
        program = shutil.which("mariadb") or "mysql"
        where = ["--no-defaults", f"--socket={self.folder / _SOCKET}", f"--user={_USER}"]
        options = ["--batch", "--skip-column-names", *(["--force"] if force else [])]
        command = [program, *where, *options, f"--execute={statements}"]
        return subprocess.run(command, check=not force, capture_output=True, text=True).stdout


@contextmanager
def mariadb_server(program: Path | None = None) -> Iterator[MariaDBServer]:
    """Run a temporary MariaDB or MySQL. It ends, with its files, when the block or the process ends.

    Starting MariaDB takes about a second, MySQL four.

    Args:
        program: The program `mariadbd`, or MySQL's `mysqld`. Default: the installed `mariadbd`.

    Raises:
        FileNotFoundError: The package `mariadb-server` is not installed.
        RuntimeError: The server did not start. The message holds its output.

    Example:
        ```python
        with mariadb_server() as server:
            server.create_database("shop")
            engine = create_async_engine(server.url("shop"))
        ```
    """
    from async_storages.testing._keeper import run_keeper  # noqa: PLC0415 - the script runs without the package

    with run_keeper(__file__, program or _find_program(), "MariaDB") as keeper:
        folder, port = keeper.read_line().rsplit(maxsplit=1)
        yield MariaDBServer(Path(folder), int(port))


def _quoted(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"


def _find_program() -> Path:
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PROGRAMS}")
    if found is None or shutil.which("mariadb-install-db") is None:
        raise FileNotFoundError("a MariaDB to test with is missing: apt-get install mariadb-server")
    return Path(found)


def _is_mysql(program: Path) -> bool:
    """True for MySQL's program, False for MariaDB's. A link to MariaDB's may be named `mysqld`, too."""
    version = subprocess.run([str(program), "--no-defaults", "--version"], check=False, capture_output=True)
    return b"MariaDB" not in version.stdout


def _keep(program: Path) -> None:
    """Serve from a temporary folder until stdin ends. Print the folder and the port once clients can connect."""
    with TemporaryDirectory(prefix="mariadb-", dir=_data_parent()) as name:
        options: dict[str, Any] = {"cwd": name, **_unprivileged()}
        if "user" in options:
            os.chown(name, options["user"], options["group"])
        with _serve(program, Path(name), options) as port:
            print(name, port, flush=True)  # noqa: T201 - the keeper's only output
            sys.stdin.read()


def _data_parent() -> Path | None:
    """Return the folder for the data: in memory if there is room."""
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
def _serve(program: Path, folder: Path, options: dict[str, Any]) -> Iterator[int]:
    """Run a server that keeps everything in `folder`. Yields its port."""
    folders = {"datadir": folder / "data", "tmpdir": folder}  # at its start a server removes all of others' in that
    is_mysql = _is_mysql(program)
    own = _SETTINGS_OF_MYSQL if is_mysql else _SETTINGS_OF_MARIADB
    settings = [f"--{name}={value}" for name, value in {**_SETTINGS, **own, **folders}.items()]
    if is_mysql:
        (folder / "users.sql").write_text(_USER_BY_PORT)
        install = [str(program), "--no-defaults", "--initialize-insecure", *settings]
        settings.append(f"--init-file={folder / 'users.sql'}")
    else:
        install = ["mariadb-install-db", "--no-defaults", *_INSTALL, *settings]
    subprocess.run(install, check=True, stdout=sys.stderr, **options)
    with socket.socket() as reserved:
        # Bound and not listening, it keeps the port from others, while the server may listen on it.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((_HOST, 0))
        port = reserved.getsockname()[1]
        files = {"socket": folder / _SOCKET, "pid-file": folder / "pid"}
        settings += [f"--{name}={path}" for name, path in files.items()]
        with (folder / "log").open("wb") as log:
            command: list[str] = [str(program), "--no-defaults", *settings, f"--bind-address={_HOST}", f"--port={port}"]
            server = subprocess.Popen([*command, "--skip-name-resolve"], stdout=log, stderr=log, **options)
        try:
            _wait_until_ready(server, folder)
            yield port
        finally:
            server.kill()  # its data are removed
            server.wait()


def _wait_until_ready(server: "subprocess.Popen[Any]", folder: Path) -> None:
    while not _greets(folder / _SOCKET):
        if server.poll() is not None:
            sys.exit((folder / "log").read_text(errors="replace"))
        time.sleep(0.01)


def _greets(path: Path) -> bool:
    """True if the server on a socket sends data first, as MariaDB does."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
            return bool(client.recv(1))
        except OSError:
            return False


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
