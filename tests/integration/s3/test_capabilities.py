"""What `doctor` finds of each server of the suite, which docs/providers/s3.md says as well."""

from pathlib import Path

import pytest

from async_storages.backends.s3.capabilities import capabilities
from tests.support.s3_kinds import SERVERS, storage_on

PAGE = Path(__file__).parents[3] / "docs" / "providers" / "s3.md"


def documented():
    """The table of the page: what each server does, by the server's name."""
    lines = [line.strip("| \n").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    [start] = [number for number, cells in enumerate(lines) if cells[0] == "capability"]
    rows, names = lines[start + 2 : start + 14], lines[start][1:]
    return {name: {row[0].replace("`", ""): row[column] for row in rows} for column, name in enumerate(names, 1)}


@pytest.fixture(params=SERVERS)
def kind(request):
    return request.param


@pytest.fixture
def server(kind, request):
    return request.getfixturevalue(SERVERS[kind])


async def test_the_page_says_what_each_server_does(server, kind):
    async with storage_on(server, prefix="a folder") as storage:
        found = await capabilities(storage)
        assert {each.name: each.found for each in found} == documented()[kind]
        assert [each for each in found if each.is_failure] == []
        assert [info async for info in storage.list()] == []
        assert await storage._client.list_multipart_uploads(storage.bucket) == []
