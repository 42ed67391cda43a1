"""A PostgreSQL that can be killed and started again."""

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from async_storages.testing import postgres


class KillablePostgres:
    """A server whose commits last, as long as nobody pulls the plug of the machine.

    Attributes:
        url: SQLAlchemy's, of its database.
    """

    def __init__(self, programs, folder, options):
        server = postgres.PostgresServer(folder, Path(programs))
        server._psql("ALTER SYSTEM SET synchronous_commit = on")
        server._psql("SELECT pg_reload_conf()")
        self.url = server.url()
        self._programs = Path(programs)
        self._folder = folder
        self._options = options

    def kill(self):
        """Its first process: the others end when they notice."""
        process = self._pid()
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)

    def start(self):
        """As soon as none of its processes is left: until then it refuses to."""
        is_ready = False
        while not is_ready:
            with (self._folder / "log").open("ab") as log:
                command = [self._programs / "postgres", "-D", self._folder / "data"]
                process = subprocess.Popen(command, stdout=log, stderr=log, **self._options)
            process.returncode = 0  # it is waited for by its number, lest this object asks for it at its end
            is_ready = self._is_ready(process.pid)

    def _is_ready(self, process):
        ask = [self._programs / "pg_isready", "-q", "-h", self._folder]
        while subprocess.run(ask, check=False, env=postgres._environment()).returncode != 0:
            if os.waitpid(process, os.WNOHANG) != (0, 0):
                return False
        return True

    def _pid(self):
        return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])

    def stop(self):
        process = self._pid()
        os.kill(process, signal.SIGQUIT)
        os.waitpid(process, 0)


@contextmanager
def killable_postgres():
    with TemporaryDirectory(prefix="postgres-", dir=postgres._data_parent()) as name:
        options = {"cwd": name, "env": postgres._environment(), **postgres._unprivileged()}
        if "user" in options:
            os.chown(name, options["user"], options["group"])
        with (
            postgres._reachable(postgres.find_programs(), options) as programs,
            postgres._serve(programs, Path(name), options),
        ):
            server = KillablePostgres(programs, Path(name), options)
            try:
                yield server
            finally:
                server.stop()
