"""The contract, on the FastDFS test server, or on a real cluster: ``FASTDFS_TRACKER=host:port``."""

from collections import Counter
from contextlib import asynccontextmanager

import pytest

from async_storages import OperationNotSupportedException
from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.transport.retries import Retries
from async_storages.testing import FastDFSServer, StorageContract
from async_storages.testing.contract.http import request
from async_storages.testing.fastdfs_server import Fault, Injection
from async_storages.testing.fixtures import RealFastDFSCluster
from tests.support.chosen_ids import SECRET, TOKEN_TTL, token_server
from tests.support.fastdfs import fastdfs_storage, files_in

pytestmark = pytest.mark.matrix("classes")


class FastDFSContract(StorageContract):
    """What the server holds is seen from behind, where it is our own."""

    @pytest.fixture(autouse=True)
    def _server(self, fastdfs_server):
        self.server = fastdfs_server

    async def leftovers(self, storage):
        if isinstance(self.server, RealFastDFSCluster):
            return [f"{await files_in(self.server)} files"]
        return [str(file) for file in await self.server.files()]

    async def test_presign_download_name(self, storage):
        """nginx's module knows attachments only, and writes their name as it came."""
        key = await storage.upload(b"content", "file.txt")
        answer = await request("GET", storage.presign(key, filename="my report.txt"))
        assert (answer.status, answer.headers["Content-Disposition"]) == (200, "attachment; filename=my report.txt")
        with pytest.raises(OperationNotSupportedException):
            storage.presign(key, filename="my report.txt", disposition="inline")


@asynccontextmanager
async def served(server, **options):
    """A storage whose presigned URLs work."""
    async with token_server() as web:
        given = {"url_base": web.url, "secret_key": SECRET, "token_ttl": TOKEN_TTL}
        async with fastdfs_storage(server, **given, **options) as web.storage:
            yield web.storage


class TestFastDFSStorage(FastDFSContract):
    @pytest.fixture
    async def storage(self, fastdfs_server):
        async with served(fastdfs_server) as storage:
            yield storage


class TestFastDFSStorageOfTheOldestVersion(FastDFSContract):
    """Whose ids hold another checksum, and which takes no ranges beyond the end."""

    @pytest.fixture(autouse=True)
    async def _server(self):
        async with FastDFSServer(version="5.11") as self.server:
            yield

    @pytest.fixture
    async def storage(self, _server):
        async with served(self.server) as storage:
            yield storage


class TestFastDFSStorageOfASilentVersion(FastDFSContract):
    """Which says nothing more on a connection after status 22, and has addresses of 45 bytes."""

    @pytest.fixture(autouse=True)
    async def _server(self):
        async with FastDFSServer(version="6.12.2") as self.server:
            yield

    @pytest.fixture
    async def storage(self, _server):
        async with served(self.server) as storage:
            yield storage


class TestFastDFSStorageInTrouble(FastDFSContract):
    """The answer to every fourth request breaks off, except to uploads, which are not sent twice."""

    @pytest.fixture(autouse=True)
    async def _server(self):
        async with FastDFSServer() as self.server:
            yield

    @pytest.fixture
    async def storage(self, _server):
        self.server._faults.add(EveryFourth(Fault(cut=5), {12, 13, 14, 15, 22, 101, 102, 103, 111}, None, None))
        options = FastDFSOptions(retries=Retries(attempts=40, base=0.001, cap=0.01))
        async with served(self.server, options=options) as storage:
            yield storage


class EveryFourth(Injection):
    """Happens to one request, and not to the next three with the same command."""

    def __init__(self, *given):
        super().__init__(*given)
        self._asked = Counter()

    def take(self, command, address):
        self._asked[command] += 1
        return self._asked[command] % 4 == 1 and super().take(command, address)
