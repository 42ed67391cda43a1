"""Plain Sessions in many threads, and in processes that were forked: nothing is lost, left or waited for in vain."""

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import sessionmaker

from async_storages import LocalStorage, registry
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.support.ledgers import settle
from tests.support.patience import HANGS
from tests.support.plain_sessions import plain_url
from tests.support.tracked import Base, Book, pending

THREADS, UPLOADS = 8, 50


@pytest.fixture
def database_url(postgres_database):
    return postgres_database  # SQLite has one writer


@pytest.fixture
def folder(tmp_path):
    with registry.override("documents", LocalStorage(tmp_path / "files")) as storage:
        yield storage


def work(sessions, thread):
    """Upload, replace every second file, delete every fourth row."""
    for number in range(UPLOADS):
        id_ = thread * UPLOADS + number + 1
        with sessions.begin() as session:
            session.add(Book(id=id_, file=pending(f"first-{id_}")))
        if number % 2:
            with sessions.begin() as session:
                session.get(Book, id_).file = pending(f"second-{id_}")
        if number % 4 == 3:
            with sessions.begin() as session:
                session.delete(session.get(Book, id_))


async def test_many_threads(database_url, folder, level):
    engine = create_engine(plain_url(database_url), pool_size=THREADS)
    ledger = FileLedger(engine, Base.metadata) if level == 2 else None
    sessions = enable_file_tracking(sessionmaker(engine), ledger=ledger)
    threads = [threading.Thread(target=work, args=(sessions, number)) for number in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        await asyncio.to_thread(each.join)
    if ledger is not None:
        await settle(ledger)
    await asyncio.to_thread(check, sessions, folder)
    engine.dispose()


def check(sessions, folder):
    with sessions() as session:
        books = session.scalars(select(Book)).all()
        assert Counter(book.file.filename.partition("-")[0] for book in books) == {
            "first": THREADS * UPLOADS // 2,
            "second": THREADS * (UPLOADS // 2 - UPLOADS // 4),
        }
        assert all(book.file.sync.read() == book.file.filename.encode() for book in books)
        stored = {info.file_id for info in folder.sync.list() if "second-" in info.file_id or "first-" in info.file_id}
        assert stored == {book.file.file_id for book in books}


PRELOADED = """
import os, sys
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from async_storages import LocalStorage, PendingFile, StoredFile
from async_storages.integrations.sqlalchemy import FileType, enable_file_tracking

storage = LocalStorage(sys.argv[1], name="documents")

class Base(DeclarativeBase):
    pass

class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents"), index=True)

engine = create_engine(f"sqlite:///{sys.argv[1]}.sqlite")
Base.metadata.create_all(engine)
sessions = enable_file_tracking(sessionmaker(engine))

def upload(name):
    with sessions.begin() as session:
        session.add(Document(file=PendingFile(name.encode(), filename=name)))

upload("parent")
engine.dispose()
children = []
for number in range(4):
    child = os.fork()
    if not child:
        upload(f"child-{number}")
        os._exit(0)
    children.append(child)
assert {os.waitpid(child, 0)[1] for child in children} == {0}
upload("parent")
with sessions() as session:
    print(sorted(document.file.sync.read().decode() for document in session.query(Document)))
engine.dispose()
"""


def test_processes_that_were_forked_after_the_first_upload(tmp_path):
    """As gunicorn does with ``--preload``, and Celery."""
    command = [sys.executable, "-W", "ignore", "-c", PRELOADED, str(tmp_path / "files")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS, env=environment)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == f"{sorted(['parent', 'parent', *(f'child-{n}' for n in range(4))])}\n"
