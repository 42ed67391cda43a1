"""`examples/api` moves from FastDFS to S3 while 20 clients work with it: no request fails, and nothing is left.

By hand for longer: ``OLD_DOCUMENTS=500 pytest tests/integration/examples/test_api_moves.py -s``.
"""

import asyncio
import json
import os
import sys
from random import Random

import httpx
import pytest
from alembic import command
from api.__main__ import alembic_config
from api.app import create_app
from api.dependencies import sessions
from api.models import Document
from api.settings import Settings
from sqlalchemy import select

from async_storages import registry
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER as MARKS
from tests.integration.examples.conftest import EXAMPLES
from tests.support.ledgers import in_ledger, settle
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

CLIENTS = 20
OLD_DOCUMENTS = int(os.environ.get("OLD_DOCUMENTS", "8"))
"""Of each client, in FastDFS."""

FEWEST_REQUESTS = 10


@pytest.fixture
def said(postgres_database, fastdfs_server, s3_server, s3_bucket):
    """The settings of an application that has left FastDFS for S3, as its environment has them."""
    command.upgrade(alembic_config(postgres_database), "head")
    s3 = {
        "endpoint": s3_server.endpoint_url,
        "default_bucket": s3_bucket,
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }
    fastdfs = {"tracker_servers": [fastdfs_server.tracker], "url_base": "http://files.example"}
    yield json.dumps({"secret_key": "a secret", "database_url": postgres_database, "s3": s3, "fastdfs": fastdfs})
    registry.unregister("documents")


class Client:
    """A user who knows what their documents hold.

    Attributes:
        documents: The contents of the documents, by number.
        requests: The number of requests.
    """

    def __init__(self, number):
        self.name = f"user {number}"
        self.documents = {}
        self.requests = 0
        self._random = Random(number)

    def _form(self):
        content = f"{self.name}, request {self.requests} ".encode() * self._random.randint(1, 2000)
        return content, {"files": {"file": ("a.txt", content)}}

    async def work(self, url, is_over):
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(
            base_url=url, headers={"X-User": self.name}, follow_redirects=True, timeout=TIME_OUT, limits=limits
        ) as client:
            while not is_over.is_set() or self.requests < FEWEST_REQUESTS:
                answer = await self._request(client)
                assert answer.is_success, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
                self.requests += 1

    async def _request(self, client):
        actions = ["upload", "read", "read", "read", "replace", "delete"] if len(self.documents) > 3 else ["upload"]
        action, number = self._random.choice(actions), self._random.choice([*self.documents, 0])
        if action == "upload" or number == 0:
            content, form = self._form()
            answer = await client.post("/documents", data={"title": "A text"}, **form)
            self.documents[answer.json()["id"]] = content
        elif action == "read":
            answer = await client.get(f"/documents/{number}/file")
            assert answer.content == self.documents[number]
        elif action == "replace":
            self.documents[number], form = self._form()
            answer = await client.put(f"/documents/{number}/file", **form)
        else:
            del self.documents[number]
            answer = await client.delete(f"/documents/{number}")
        return answer


async def migrate(said, *arguments):
    """What the command line says, as JSON."""
    program = (sys.executable, "-m", "async_storages", "migrate", *arguments)
    process = await asyncio.create_subprocess_exec(
        *(*program, "--json", "--app", "api.moving:create_migration"),
        cwd=EXAMPLES.parent,
        env={**os.environ, "API_SETTINGS": said, "PYTHONPATH": f"{EXAMPLES}{os.pathsep}{EXAMPLES.parent}"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return json.loads(output)


def marks_in(connection, table):
    """The ids of the files by which a ledger knows its storages."""
    return set(connection.scalars(select(table.c.id).where(table.c.state == "mark")))


async def test_no_request_fails_while_the_application_moves_to_s3(said, fastdfs_server):
    app = create_app(Settings.model_validate_json(said))
    clients, is_over = [Client(number) for number in range(CLIENTS)], asyncio.Event()
    async with served(app) as url:
        s3, fastdfs = app.state.storage_manager.storages
        before = await fastdfs_server.files()
        for client in clients:
            async with sessions.begin() as session:
                for number in range(OLD_DOCUMENTS):
                    content = f"{client.name}, old {number}".encode()
                    document = Document(owner=client.name, title="Old", file=await fastdfs.save(content, "old.txt"))
                    session.add(document)
                    await session.flush()
                    client.documents[document.id] = content

        async def move():
            await migrate(said, "plan")
            moved = await migrate(said, "run")
            assert (moved["missing"], moved["failed"]) == (0, 0)
            is_over.set()

        await asyncio.gather(*(client.work(url, is_over) for client in clients), move())

        documents = {number: content for client in clients for number, content in client.documents.items()}
        async with sessions() as session:
            files = {document.id: document.file for document in await session.scalars(select(Document))}
        assert files.keys() == documents.keys()
        assert {file.scheme for file in files.values()} == {"s3"}
        for number, file in files.items():
            assert await file.read() == documents[number]

        await migrate(said, "finish", "--older-than", "0s", "--yes")
        await settle(app.state.ledger)
        marks = await in_ledger(app.state.ledger, marks_in)
        left = [each for each in await fastdfs_server.files() if each not in before]
        assert {str(fastdfs.identify(each.file_id)) for each in left} <= marks
        there = {info.file_id async for info in s3.list()}
        assert {each for each in there if f"{MARKS}/" not in each} == {file.file_id for file in files.values()}
    print(f"{sum(client.requests for client in clients):,} requests")  # noqa: T201 - for whoever runs it by hand
