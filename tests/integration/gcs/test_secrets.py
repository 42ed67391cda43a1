"""Nothing that is logged, shown or told lets anybody else in."""

import json
from dataclasses import replace

import pytest

from async_storages.backends.gcs import urls
from async_storages.backends.transport.retries import Retries
from async_storages.testing.contract.operations import FIVE
from tests.support.gcs import FAST, gcs_storage
from tests.support.gcs_accounts import service_account
from tests.support.gcs_gate import TOKEN
from tests.support.patience import never
from tests.support.scripted import reply, scripted
from tests.support.shown import everything_shown, use_all

TWICE = replace(FAST, retries=Retries(attempts=2, base=0))
SECRET_SESSION = "/upload/secret-session"
KEY = service_account()["private_key"]


@pytest.fixture
def part_size():
    return 1 << 18


@pytest.fixture
async def shown():
    with everything_shown() as shown:
        yield shown


@pytest.fixture
def signatures(monkeypatch):
    """Every signature that is made."""
    made, real = set(), urls._signed

    def signed(signer, unsigned):
        made.add(signer.sign(unsigned.message).hex())  # the same each time
        return real(signer, unsigned)

    # the one place through which all signatures go; what is sent shows only those of this moment
    monkeypatch.setattr(urls, "_signed", signed)
    return made


def quote(asked):
    """As a server that explains itself with all that the client sent."""
    sent = f"{asked.path} {asked.headers.items()}"
    return reply(403, json.dumps({"error": {"message": sent, "errors": [{"reason": sent}]}}).encode())


def begun(asked):
    """Sessions begin, and all else fails."""
    is_begun = "uploadType=resumable" in asked.path
    return reply(Location=f"http://elsewhere.example.com{SECRET_SESSION}?id=1") if is_begun else reply(503)


ANSWERS = {
    "success": lambda asked: reply(200, FIVE if asked.method == "GET" else b""),
    "quoted": quote,
    "bad header": lambda asked: reply(200, x=f"\0{asked.headers['Authorization']}"),
    "header that is a token": lambda asked: reply(200, x=asked.headers["Authorization"]),
    "redirect": lambda asked: reply(301, Location=asked.headers["Authorization"]),
    "begun": begun,
    "closed": lambda asked: b"",
    "silent": never,
    "not HTTP": lambda asked: f"SSH {asked.headers['Authorization']}\r\n\r\n".encode(),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_whatever_a_server_says_nothing_secret_is_shown(gate, shown, signatures, answer):
    async with (
        scripted(answer) as server,
        gcs_storage(gate, "photos", endpoint_url=server.url, options=TWICE, part_size=1 << 18) as gcs,
    ):
        await use_all(gcs, shown)
        assert any(TOKEN in (asked.headers["Authorization"] or "") for asked in server.asked)
    assert signatures
    assert shown.lacks({TOKEN, SECRET_SESSION, KEY.splitlines()[5], *signatures})


async def test_where_all_goes_well_nothing_secret_is_shown(gate, shown, signatures, storage):
    await storage.upload(FIVE, "file.txt")
    await use_all(storage, shown)
    assert gate.uploads
    assert shown.lacks({TOKEN, KEY.splitlines()[5], *gate.uploads, *signatures})
