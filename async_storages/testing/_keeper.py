"""Keepers: scripts that run a server in a process of its own, and end it when their standard input ends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Keeper", "run_keeper"]


class Keeper:
    """A running keeper, as `run_keeper` yields it.

    Args:
        process: The keeper's process.
        server: The name of its server, for errors.
    """

    def __init__(self, process: "subprocess.Popen[str]", server: str) -> None:
        self._process = process
        self._server = server

    def read_line(self) -> str:
        """Return the next line that the keeper prints.

        Raises:
            RuntimeError: The keeper ended instead. The message holds its output.
        """
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if not (line := self._process.stdout.readline().strip()):
            raise RuntimeError(f"{self._server} did not start:\n{self._process.stderr.read()}")
        return line

    def order(self, word: str) -> None:
        """Send a word, and wait until the keeper has carried it out. Raises as `read_line` does."""
        self.send(word)
        self.read_line()

    def send(self, word: str) -> None:
        """Send a word. An empty one ends the keeper, even if a forked child holds the pipe open."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the keeper is gone, and `read_line` tells why
            os.write(self._process.stdin.fileno(), f"{word}\n".encode())  # unbuffered, or closing would write again


@contextmanager
def run_keeper(script: str, program: Path, server: str) -> Iterator[Keeper]:
    """Run a keeper. It ends when the block ends, or when this process ends.

    Args:
        script: The path of the keeper's script.
        program: The script's argument: the server's program, or the folder of its programs.
        server: The name of the server, for errors.
    """
    with subprocess.Popen(
        [sys.executable, "-IS", script, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C ends the tests first, then the server
    ) as process:
        keeper = Keeper(process, server)
        try:
            yield keeper
        finally:
            keeper.send("")
