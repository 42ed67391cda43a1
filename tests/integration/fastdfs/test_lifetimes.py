"""Storages that nobody closes, in several loops, and after a fork. And nothing is left."""

import asyncio

import pytest

from tests.support.fastdfs import files_in
from tests.support.lifetimes import PROGRAMS, check_silent

BEGINNING = """
import sys
from async_storages import FastDFSStorage

storage = FastDFSStorage(tracker_servers=[sys.argv[1]])
MISSING = "group1/M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"

async def left(prefix):
    return []  # the server is asked afterwards
"""


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_is_printed(fastdfs_server, program):
    before = asyncio.run(files_in(fastdfs_server))
    check_silent(BEGINNING, f"{program}\nasyncio.run(remove())", fastdfs_server.tracker)
    assert asyncio.run(files_in(fastdfs_server)) == before
