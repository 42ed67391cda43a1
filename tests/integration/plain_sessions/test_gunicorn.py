"""The Flask application of docs/how-to/plain-sessions.md on a real gunicorn: nothing is lost, left, or hangs."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from async_storages import LocalStorage
from tests.support.patience import HANGS, TIME_OUT
from tests.support.plain_sessions import plain_url

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "plain-sessions.md"
CLIENTS, UPLOADS = 8, 50
GUNICORN = ("--worker-class", "gthread", "--threads", "8", "--workers", "2", "--bind", "127.0.0.1:0")

# Registered before the library's own, it is called after it. Workers inherit it: so each process says how it ended.
SAYS_HOW_IT_ENDS = """
import atexit, os, pathlib, threading

def say():
    pathlib.Path(f"ended-{os.getpid()}").write_text(" ".join(each.name for each in threading.enumerate()))

atexit.register(say)
"""

UPLOAD_WHEN_IMPORTED = """
with app.app_context():
    db.session.add(Document(file=PendingFile(b"first", filename="first.txt")))
    db.session.commit()
    db.engine.dispose()
"""


@pytest.fixture
def url(postgres_database):
    return plain_url(postgres_database)  # SQLite has one writer


@pytest.fixture
def application(url, tmp_path):
    """The program of the page in a file, with another database."""
    [code] = [code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "Flask(" in code]
    assert "sqlite:///app.sqlite" in code
    path = tmp_path / "app.py"
    path.write_text(code.replace("sqlite:///app.sqlite", url))
    (tmp_path / "gunicorn.conf.py").write_text(SAYS_HOW_IT_ENDS)
    return path


@contextmanager
def gunicorn(folder, *options):
    """Yields the URL, and ends it as its users do."""
    command = [sys.executable, "-m", "gunicorn", *GUNICORN, *options, "app:app"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    log = folder / "gunicorn.log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, encoding="utf-8") as process,
    ):
        try:
            yield _listening(process.stderr, output)
            process.send_signal(signal.SIGTERM)
            process.wait(HANGS)
        finally:
            process.kill()
            output.write(process.stderr.read())
    assert process.returncode == 0, log.read_text()


def _listening(lines, output):
    said = []
    for line in lines:
        said.append(line)
        output.write(line)
        if found := re.search(r"Listening at: (http://\S+)", line):
            return found[1]
    raise AssertionError(f"gunicorn has ended: {''.join(said)}")


def upload_and_delete(url, number):
    """The contents that stay, by the number of the row; every fifth is deleted again."""
    stays = {}
    with httpx.Client(base_url=url, timeout=TIME_OUT) as client:
        for each in range(UPLOADS):
            content = f"{number} {each}".encode() * (each + 1)
            answer = client.post("/documents", files={"file": (f"{number}-{each}.txt", content)})
            row = answer.raise_for_status().json()["id"]
            if each % 5:
                stays[row] = content
            else:
                assert client.delete(f"/documents/{row}").status_code == 204
    return stays


def rows_of(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        found = dict(connection.execute(text("SELECT id, file FROM documents")).all())
    engine.dispose()
    return found


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["workers import it", "preloaded"])
def test_many_uploads_at_once(application, url, options):
    folder = application.parent
    with application.open("a") as file:
        file.write(UPLOAD_WHEN_IMPORTED if options else "")  # so that the parent of the workers has a background loop
    if not options:  # or both workers make the table at once
        subprocess.run([sys.executable, "-c", "import app"], cwd=folder, check=True, timeout=HANGS)
    with gunicorn(folder, *options) as address, ThreadPoolExecutor(CLIENTS) as threads:
        stays = {}
        for each in threads.map(upload_and_delete, [address] * CLIENTS, range(CLIENTS)):
            stays |= each
        with httpx.Client(base_url=address, timeout=TIME_OUT) as client:
            assert {row: client.get(f"/documents/{row}").content for row in stays} == stays

    rows = rows_of(url)
    assert len(stays) == CLIENTS * UPLOADS * 4 // 5
    assert rows.keys() - stays.keys() == ({1} if options else set())
    assert {info.file_id for info in LocalStorage(folder / "files").sync.list()} == set(rows.values())
    log = (folder / "gunicorn.log").read_text()
    processes = {int(pid) for pid in re.findall(r"\[(\d+)\] \[INFO\]", log)}
    assert len(processes) == 3
    assert {int(path.name.partition("-")[2]) for path in folder.glob("ended-*")} == processes
    assert {path.read_text() for path in folder.glob("ended-*")} == {"MainThread"}
    assert "[ERROR]" not in log, log
