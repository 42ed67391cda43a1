"""The packages of `examples` are found as `make api` finds them, and Alembic leaves the process as it was."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.patience import HANGS

EXAMPLES = Path(__file__).parents[3] / "examples"

if str(EXAMPLES) not in sys.path:
    sys.path.append(str(EXAMPLES))


@pytest.fixture(autouse=True, scope="module")
def _as_it_was():
    """Alembic extends `sys.path`, and its env.py configures logging, for the whole process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr("logging.config.fileConfig", lambda *args, **options: None)
        yield


@pytest.fixture
def port():
    """One that nobody else is given: on Linux a server may listen where a socket is merely bound."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@contextmanager
def running(module, folder, port, *arguments):
    """The program of an example, told to stop at the end; yields its URL, and then what it said."""
    command_line = [sys.executable, "-W", "error", "-m", module, "--port", str(port), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (EXAMPLES, EXAMPLES.parent)))}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    with subprocess.Popen(command_line, cwd=folder, env=environment, **pipes) as process:
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if "Uvicorn running" in line:
                    break
            yield f"http://127.0.0.1:{port}", said
            process.send_signal(signal.SIGINT)
            said.append(process.communicate(timeout=HANGS)[0])
            assert process.returncode == 0, "".join(said)
        finally:
            process.kill()
