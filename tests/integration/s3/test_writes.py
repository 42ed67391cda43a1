"""Writes that fail, are cancelled, or are not heard of; and what they leave."""

import asyncio
import subprocess
import sys
from hashlib import shake_256

import pytest

from async_storages.backends.s3 import multipart
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.testing.contract.sources import BrokenSourceError, pieces_later
from async_storages.testing.contract.tools import every_cancellation
from async_storages.testing.faults import Answer, Reset, Stall, Truncate, request_body, request_header, response_header
from tests.support.s3 import FAST
from tests.support.streams import stream

PART = 5 << 20  # bytes, the fewest that S3 takes
CONTENT = shake_256(b"content").digest(100_000)
LARGE = shake_256(b"large").digest(1 << 20) * 5 + CONTENT  # a part, and another


@pytest.fixture(autouse=True)
def _smaller_parts(monkeypatch):
    monkeypatch.setattr(multipart, "PART_SIZE", PART)


async def left_in(storage):
    """Keys, and open uploads."""
    return [info.file_id.rpartition("/")[2] async for info in storage.list()] + await storage._client.list_multipart_uploads(
        storage.bucket
    )


def asks(method, *flags):
    return lambda asked, path: asked == method and all(flag in path for flag in flags)


# ---- cancelled


async def test_a_cancelled_multipart_upload_of_a_new_file_leaves_nothing(storage):
    """Cancelled at each of its awaits."""
    async for _ in every_cancellation(lambda: storage.upload(pieces_later(LARGE[: PART + 1]), "new", overwrite=False)):
        assert await left_in(storage) == []
    assert await storage.get_size("new") == PART + 1
