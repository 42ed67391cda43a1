"""Every example in a docstring runs, and shows what it says; servers that it names are those of the tests.

The fixtures are the names that examples take for granted: `document`, `storage`, `app` … An example gets those that it
reads, and addresses such as ``localhost:9000`` lead to servers of this session.
"""

# ruff: noqa: N802, N803 - fixtures have the names that examples use

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from io import BytesIO
from types import SimpleNamespace
from typing import Annotated

import litestar
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, UploadFile
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import (
    FileTypeConfig,
    FileValidatorImpl,
    LocalStorage,
    MemoryStorage,
    StorageManager,
    StoredFile,
    events,
    registry,
)
from async_storages.backends.s3.endpoint import Endpoint as S3Endpoint
from async_storages.backends.s3.sigv4 import Credentials, Signer
from async_storages.integrations.fastapi import DirectUploads, session_dependency
from async_storages.integrations.sqlalchemy import FileList, FileListType, FileType, add_ledger_tables
from async_storages.scanning.verdicts import Clean
from tests.support.corpus import image
from tests.support.docstring_examples import Program, namespace, programs, programs_in, run, run_awaiting

PNG = image("PNG")
PROGRAMS = programs()
SERVERS = {
    "10.0.0.1:22122": "tracker",
    "S3": "s3_keys",
    "localhost:9000": "s3_address",
    '"127.0.0.1", 8333': "s3_host_and_port",
    "localhost:3310": "clamd_address",
}
"""Texts in programs that await, and the fixtures that say what to put in their place."""


GIVEN = set()


def given(function):
    """A fixture whose name examples use."""
    GIVEN.add(function.__name__)
    return pytest.fixture(function)


@pytest.fixture(autouse=True)
def _somewhere_new(tmp_path, monkeypatch):
    """A folder with the files that examples upload; the names and hooks that they register are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(events, "hooks", [*events.hooks])
    (tmp_path / "q3.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "photo.jpg").write_bytes(PNG)
    with registry.isolated():
        yield


# ---- servers


@pytest.fixture
def tracker(fastdfs_server):
    return fastdfs_server.tracker


@pytest.fixture
def s3_address(s3_server):
    return s3_server.endpoint_url


@pytest.fixture
def s3_host_and_port(s3_server):
    host, port = s3_server.endpoint_url.removeprefix("http://").split(":")
    return f'"{host}", {port}'


@pytest.fixture
def s3_keys(s3_server, monkeypatch):
    """The server and its keys, as AWS's tools are told them, and the bucket of examples; no text is replaced."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_access_key)
    s3_server.create_bucket("photos")
    yield "S3"
    s3_server.drop_bucket("photos")


@pytest.fixture
async def clamd_address():
    """A daemon that finds the virus of all tests in whatever it is sent."""

    async def answer(reader, writer):
        await reader.readuntil(b"\0")
        while size := int.from_bytes(await reader.readexactly(4)):
            await reader.readexactly(size)
        writer.write(b"stream: Eicar-Test-Signature FOUND\0")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


# ---- names of storages and files


@given
def secret():
    return "a secret of the examples"


@given
async def storage(tmp_path, secret):
    with registry.override("documents", LocalStorage(tmp_path / "files", "/files", secret)) as documents:
        async with documents:
            yield documents


@given
def manager(storage):
    return StorageManager.from_storages(storage, name="examples")


@given
def content():
    return PNG


@given
def upload(content):
    return UploadFile(BytesIO(content), filename="cat.png")


@given
async def file(storage):
    return await storage.save(PNG, "cat.png")


@given
def stored(file):
    return file


@given
async def file_id(storage):
    return str(storage.identify(await storage.upload(b"hello", "tenants/acme/hello.txt")))


@given
def fetch():
    async def fetch(offset, length):
        return PNG[offset : offset + length]

    return fetch


@given
def scanner():
    async def scan(file):
        return Clean()

    return SimpleNamespace(scan=scan)


@given
def validator():
    return FileValidatorImpl(FileTypeConfig(whitelist=["png"]))


@given
def keys():
    return ["cat.jpg", "dog.jpg"]


@given
def signer():
    return Signer(Credentials("AKIAEXAMPLE", "secret"), "eu-central-1")


@given
def Endpoint():
    return S3Endpoint


@given
def private_key():
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@given
def Litestar():
    """Without its logging, whose thread would outlive the test."""
    return partial(litestar.Litestar, logging_config=None)


@given
def MyStorage():
    return MemoryStorage


# ---- names of models and sessions


@given
def Base():
    return type("Base", (DeclarativeBase,), {})


@given
def Document(Base):
    class Document(Base):
        __tablename__ = "documents"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
        files: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents"))

    return Document


@given
def document(Document, file):
    return Document(file=file, files=[file])


@given
def rows(document):
    return [document]


@given
def DocumentOut():
    class DocumentOut(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        file: StoredFile

    return DocumentOut


@given
async def engine(tmp_path, Document, storage):
    """The application's: a database with its tables, and those of a ledger."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'app.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(Document.metadata.create_all)
    yield engine
    await engine.dispose()


@given
def op(tmp_path, Document, storage):
    """Alembic's operations, on a database with a ledger."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    add_ledger_tables(Document.metadata)
    engine = create_engine(f"sqlite:///{tmp_path / 'app.sqlite'}")
    with engine.begin() as connection:
        Document.metadata.create_all(connection)
        yield Operations(MigrationContext.configure(connection))
    engine.dispose()


@given
def serve():
    async def serve():
        await asyncio.sleep(0)

    return serve


# ---- names of an application


@given
def app():
    return FastAPI()


@given
def cache():
    return {}


@given
def user():
    return SimpleNamespace(id="anna", tenant_id="acme")


@given
def current_user_id(user):
    return lambda: user.id


@given
def SessionDep(engine):
    return Annotated[AsyncSession, session_dependency(async_sessionmaker(engine))]


@given
def Session(SessionDep):
    return SessionDep


@given
def uploads(storage, secret):
    return DirectUploads(storage, secret, folder="photos")


@given
async def body(uploads, storage, user):
    """What a client says that has uploaded a file by itself."""
    begun = await uploads.start("cat.png", owner=user.id)
    await storage.upload(PNG, begun.fields["key"])
    return SimpleNamespace(key=begun.key)


@pytest.fixture
def as_given(request, program):
    """The program with the tests' servers in it, and the names that it begins with."""
    shown = [name for name in SERVERS if program.awaits and name in program.source]
    servers = {name: request.getfixturevalue(SERVERS[name]) for name in shown}
    names = {name: request.getfixturevalue(name) for name in program.wanted & GIVEN}
    return program.having(servers), names | namespace(program)


def cases(*, awaiting):
    return [pytest.param(program, id=program.name) for program in PROGRAMS if program.awaits == awaiting]


@pytest.mark.parametrize("program", cases(awaiting=False))
def test_an_example_runs(as_given):
    run(*as_given)


@pytest.mark.parametrize("program", cases(awaiting=True))
async def test_an_example_that_awaits_runs(as_given):
    await run_awaiting(*as_given)


def test_examples_are_found():
    assert len(PROGRAMS) > 80


def program_of(docstring):
    [steps] = programs_in(docstring)
    return Program("an example", "async_storages.naming", steps)


@pytest.mark.parametrize(
    "docstring",
    [
        ">>> 1 + 1\n3",
        ">>> 1 + 1\n2\n3",
        ">>> original_filename('a/0123456789abcdef_b.txt')\n'c.txt'",
        ">>> print_nothing()",
        "```python\nassert 1 + 1 == 3\n```",
        ">>> 1 +",
    ],
)
def test_an_example_that_is_wrong_fails(docstring):
    program = program_of(docstring)
    with pytest.raises((AssertionError, NameError, SyntaxError)):
        run(program, namespace(program))


def test_outputs_that_are_made_anew_need_only_look_alike():
    program = program_of(">>> 'a/0123456789abcdef_b.txt', 17\n('a/fedcba9876543210_b.txt', …)")
    run(program, namespace(program))


async def test_outputs_within_a_block_that_awaits_are_seen():
    program = program_of(">>> async with Somewhere():\n...     await answer()\n41")

    async def answer():
        return 42

    with pytest.raises(AssertionError, match="42"):
        await run_awaiting(program, {"Somewhere": AsyncExitStack, "answer": answer})
