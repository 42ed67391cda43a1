"""Nothing that is logged, shown or told lets anybody else in."""

from dataclasses import replace

import pytest

from async_storages.backends.s3.sigv4 import _SigningKey
from async_storages.backends.s3.storage import S3Storage
from async_storages.backends.transport.retries import Retries
from async_storages.testing.contract.operations import FIVE
from tests.support.patience import never
from tests.support.s3 import FAST, s3_storage
from tests.support.scripted import Ending, reply, scripted
from tests.support.shown import everything_shown, use_all

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzEBYaDP"
TWICE = replace(FAST, retries=Retries(attempts=2, base=0))


@pytest.fixture
async def shown():
    with everything_shown() as shown:
        yield shown


@pytest.fixture
def signatures(monkeypatch):
    """Every signature that is made."""
    made = set()
    real = _SigningKey.hmac_sha256

    def hmac_sha256(self, text):
        made.add(signature := real(self, text))
        return signature

    # the one place through which all signatures go; what is sent shows only some of them
    monkeypatch.setattr(_SigningKey, "hmac_sha256", hmac_sha256)
    return made


def quote(asked):
    """As S3 explains a wrong signature: with all that the client sent."""
    sent = f"{asked.path} {asked.headers.items()}"
    said = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{sent}</Message><Region>{sent}</Region></Error>"
    return reply(403, said.encode())


def echo(asked):
    """As a proxy that repeats headers, in the wrong place."""
    sent = asked.headers["Authorization"]
    return reply(400, x_amz_request_id=sent, x_amz_bucket_region=sent)


ANSWERS = {
    "success": lambda asked: reply(200, FIVE if asked.method == "GET" else b"", ETag='"e"'),
    "wrong signature": quote,
    "bad header": lambda asked: reply(200, x=f"\0{asked.headers['Authorization']}"),
    "header that is a signature": lambda asked: reply(200, x=asked.headers["Authorization"]),
    "region that is a signature": echo,
    "redirect": lambda asked: reply(301, x_amz_bucket_region="eu-west-1", Location=asked.headers["Authorization"]),
    "wrong clock": lambda asked: reply(403, Date="Sat, 01 Jan 2000 00:00:00 GMT"),
    "slow down": lambda asked: reply(503),
    "closed": lambda asked: b"",
    "silent": never,
    "not HTTP": lambda asked: f"SSH {asked.headers['Authorization']}\r\n\r\n".encode(),
    "cut": lambda asked: Ending(reply(200, FIVE, ETag='"e"')[:-2]),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_whatever_a_server_says_nothing_secret_is_shown(shown, signatures, answer):
    async with scripted(answer) as server:
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "aws_session_token": TOKEN}
        async with S3Storage("photos", endpoint_url=server.url, options=TWICE, part_size=1 << 18, **keys) as storage:
            await use_all(storage, shown)
            shown.add(storage._client.wire._signer)
    check(shown, {SECRET, TOKEN, *signatures})


async def test_with_the_real_server_nothing_secret_is_shown(shown, signatures, s3_server, s3_bucket):
    async with s3_storage(s3_server, s3_bucket, part_size=1 << 18) as storage:
        await storage.upload(FIVE, "file.txt")
        await use_all(storage, shown)
    check(shown, {s3_server.secret_access_key, *signatures})


def check(shown, secrets):
    assert len(secrets) > 10
    assert shown.lacks(secrets)
