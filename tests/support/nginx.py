"""Debian's nginx in front of an application, for as long as a `with` block lasts."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.patience import HANGS

PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
_DIES_WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL")  # of util-linux, which every Debian has

_CONFIGURATION = """
%(user)s
daemon off;
master_process off;
pid %(folder)s/pid;
error_log %(folder)s/log;
events {}
http {
    access_log off;
    types { text/html html; image/png png; }
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    server {
        listen 127.0.0.1:%(port)d;
        location / { proxy_pass %(application)s; }
%(locations)s
    }
}
"""


@contextmanager
def nginx(application: str, locations: str) -> Iterator[str]:
    """The URL of an nginx that asks the application for everything but these locations."""
    with TemporaryDirectory(prefix="nginx-") as name, closing(socket.create_server(("127.0.0.1", 0))) as taken:
        folder, port = Path(name), taken.getsockname()[1]
        user = "user root;" if os.geteuid() == 0 else ""  # only root may read what tests write
        settings = {"user": user, "folder": name, "port": port, "application": application, "locations": locations}
        (folder / "nginx.conf").write_text(_CONFIGURATION % settings)
        taken.close()
        command = [*_DIES_WITH_ITS_PARENT, str(PROGRAM), "-p", name, "-c", "nginx.conf", "-e", f"{name}/log"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until_ready(process, folder, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
    deadline = time.monotonic() + HANGS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nginx does not start: {(folder / 'log').read_text()}")
