"""Uploads whose parts somebody else sends; how browsers use them is in tests/integration/fastapi/test_direct.py."""

import pytest

from async_storages.backends.s3.part_uploads import S3PartUploads
from async_storages.backends.s3.storage import S3Storage
from async_storages.errors import AccessDeniedException, InvalidArgumentException
from tests.support.s3 import s3_storage
from tests.support.scripted import reply, scripted

KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}


def page(*numbers, following=None):
    parts = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"e{number}"</ETag><Size>9</Size></Part>' for number in numbers
    )
    more = "" if following is None else f"<NextPartNumberMarker>{following}</NextPartNumberMarker>"
    is_cut = "false" if following is None else "true"
    return f"<ListPartsResult><IsTruncated>{is_cut}</IsTruncated>{more}{parts}</ListPartsResult>".encode()


async def test_parts_are_listed_page_by_page():
    pages = [page(1, 2, following=2), page(3)]
    async with (
        scripted(lambda asked: reply(body=pages[len(server.asked) - 1])) as server,
        S3Storage("films", endpoint_url=server.url, **KEYS) as storage,
    ):
        parts = await S3PartUploads(storage).parts("a.mp4", "id")

    assert [(part.number, part.etag, part.size) for part in parts] == [(1, "e1", 9), (2, "e2", 9), (3, "e3", 9)]
    assert "part-number-marker=2" in server.asked[1].path


CALLS = {
    "begin": lambda uploads: uploads.begin("a.mp4", content_type="video/mp4"),
    "presign": lambda uploads: uploads.presign_part("a.mp4", "id", 1),
    "complete": lambda uploads: uploads.complete("a.mp4", "id", {1: "x"}, max_size=None),
    "abort": lambda uploads: uploads.abort("a.mp4", "id"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_storage_for_reading_begins_nothing(s3_server, s3_bucket, call):
    async with s3_storage(s3_server, s3_bucket, read_only=True) as storage:
        with pytest.raises(AccessDeniedException, match="read_only"):
            await call(S3PartUploads(storage))


@pytest.mark.parametrize("key", ["../a.mp4", "a b?.mp4", "pending/"])
async def test_a_key_that_is_not_clean_is_refused(s3_server, s3_bucket, key):
    async with s3_storage(s3_server, s3_bucket) as storage:
        with pytest.raises(InvalidArgumentException):
            await S3PartUploads(storage).begin(key, content_type="video/mp4")


@pytest.mark.parametrize("number", [0, 10_001])
async def test_there_is_no_such_part(s3_server, s3_bucket, number):
    async with s3_storage(s3_server, s3_bucket) as storage:
        with pytest.raises(InvalidArgumentException):
            await S3PartUploads(storage).presign_part("a.mp4", "id", number)
