"""The contract, on the FastDFS test server, or on a real cluster: ``FASTDFS_TRACKER=host:port``."""

import pytest

from async_storages import OperationNotSupportedException
from async_storages.testing import StorageContract
from async_storages.testing.contract.tools import request
from tests.support.chosen_ids import SECRET, TOKEN_TTL, token_server
from tests.support.fastdfs import fastdfs_storage


class FastDFSContract(StorageContract):
    """What the server holds is seen from behind, where it is our own."""

    @pytest.fixture(autouse=True)
    def _server(self, fastdfs_server):
        self.server = fastdfs_server

    async def leftovers(self, storage):
        return [str(file) for file in await self.server.files()]

    async def test_presign_download_name(self, storage):
        """nginx's module knows attachments only, and writes their name as it came."""
        key = await storage.upload(b"content", "file.txt")
        answer = await request("GET", storage.presign(key, filename="my report.txt"))
        assert (answer.status, answer.headers["Content-Disposition"]) == (200, "attachment; filename=my report.txt")
        with pytest.raises(OperationNotSupportedException):
            storage.presign(key, filename="my report.txt", disposition="inline")


class TestFastDFSStorage(FastDFSContract):
    @pytest.fixture
    async def storage(self, fastdfs_server):
        async with token_server() as web:
            options = {"url_base": web.url, "secret_key": SECRET, "token_ttl": TOKEN_TTL}
            async with fastdfs_storage(fastdfs_server, **options) as web.storage:
                yield web.storage
