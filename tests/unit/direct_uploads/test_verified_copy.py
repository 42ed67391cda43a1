"""Copies that stay only if they turn out to be what they should."""

import pytest

from async_storages import FileNotFoundException, S3Storage
from async_storages.direct_uploads.verified_copy import copied
from tests.support.s3 import FAST
from tests.support.scripted import reply, scripted

LOST = b""


async def test_a_copy_whose_answer_was_lost_is_removed_though_its_source_is_gone():
    """The second request finds no source any more, and says nothing of what the first one made."""
    keys = {"a.txt"}

    def answer(asked):
        key = asked.path.partition("?")[0].removeprefix("/photos/")
        if asked.method == "DELETE":
            keys.discard(key)
            return reply(204, Content_Length=None)
        if "a.txt" not in keys:
            return reply(404, b"<Error><Code>NoSuchKey</Code></Error>" if asked.method == "PUT" else b"")
        if asked.method == "PUT":
            keys.symmetric_difference_update({key, "a.txt"})  # somebody deletes the source meanwhile
            return LOST
        return reply(200, ETag='"827ccb0eea8a706c4c34a16891f84e7b"', Content_Length="5")

    made = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "options": FAST}
    async with scripted(answer) as server, S3Storage("photos", endpoint_url=server.url, **made) as storage:
        with pytest.raises(FileNotFoundException):
            async with copied(storage, "a.txt", "b.txt", None):
                pytest.fail("there is no copy")
    assert [asked.method for asked in server.asked] == ["HEAD", "PUT", "PUT", "DELETE"]
    assert keys == set()
