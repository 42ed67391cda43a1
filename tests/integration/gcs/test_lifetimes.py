"""Storages that nobody closes, in several loops, and after a fork."""

import asyncio
import json

import pytest

from tests.support.gcs_accounts import service_account
from tests.support.lifetimes import PROGRAMS, check_silent

BEGINNING = """
import json, sys
from async_storages import GCSStorage

url, bucket, account = sys.argv[1:]
storage = GCSStorage(bucket, endpoint_url=url, service_account_info=json.loads(account))
MISSING = "missing.txt"

async def left(prefix):
    return [info async for info in storage.list(prefix)]
"""


APART = {name: PROGRAMS[name] for name in ("writes left half-way", "a child after fork")}
TOGETHER = {"the others in turn": "\n".join(PROGRAMS[name] for name in PROGRAMS if name not in APART)}
"""In one interpreter, as starting one takes half a second."""


@pytest.mark.parametrize("program", (APART | TOGETHER).values(), ids=APART | TOGETHER)
async def test_nothing_is_printed(gate, gcs_bucket, program):
    account = json.dumps(service_account(token_uri=f"{gate.url}/token"))
    await asyncio.to_thread(check_silent, BEGINNING, program, gate.url, gcs_bucket, account)
    assert gate.open_uploads == []
