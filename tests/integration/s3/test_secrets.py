"""Nothing that is logged, shown or told lets anybody else in."""

import asyncio
import logging
import traceback

import pytest

from async_storages import events
from async_storages.backends.http import HttpOptions
from async_storages.backends.retries import Retries
from async_storages.backends.s3 import multipart
from async_storages.backends.s3.sigv4 import _SigningKey
from async_storages.backends.s3.storage import S3Storage
from async_storages.testing.contract.operations import FIVE, uses_of
from async_storages.testing.contract.tools import cancelled_at
from tests.support.s3 import s3_storage
from tests.support.scripted import Ending, reply, scripted

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzEBYaDP"
HASTY = HttpOptions(read_timeout=0.1, retries=Retries(attempts=2, base=0))


class Shown(logging.Handler):
    """All that becomes visible: log records and what is attached to them, events, errors and what led to them."""

    def __init__(self):
        super().__init__(level=1)
        self.texts = []

    def emit(self, record):
        self.texts += [self.format(record), repr(vars(record))]

    def add(self, *values):
        self.texts += [shown for value in values for shown in (repr(value), str(value))]

    def add_error(self, error):
        self.texts += traceback.format_exception(error)
        while error is not None:
            self.add(error, vars(error))
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.fixture
def shown(monkeypatch):
    """Everything that is shown, with all loggers at their most talkative."""
    shown = Shown()
    root = logging.getLogger()
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    for logger in (root, *loggers):
        monkeypatch.setattr(logger, "level", 1)
        monkeypatch.setattr(logger, "disabled", False)
        monkeypatch.setattr(logger, "_cache", {})
    root.addHandler(shown)
    monkeypatch.setattr(events, "hooks", [shown.add, events.log])
    yield shown
    root.removeHandler(shown)


@pytest.fixture
def signatures(monkeypatch):
    """Every signature that is made."""
    made = set()
    real = _SigningKey.hmac_sha256

    def hmac_sha256(self, text):
        made.add(signature := real(self, text))
        return signature

    monkeypatch.setattr(_SigningKey, "hmac_sha256", hmac_sha256)
    return made


@pytest.fixture
async def _talkative_loop(monkeypatch):
    """A loop that logs every callback with its arguments."""
    monkeypatch.setattr(multipart, "PART_SIZE", 1 << 18)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0


async def use_all(storage, shown):
    """Try all there is to try, and show all there is to show."""
    admin = storage.bucket_admin
    calls = [
        *((lambda use=use: use.call(storage, "file.txt")) for use in (await uses_of(storage)).values()),
        lambda: storage.upload(bytes(1 << 19), "large.bin"),
        lambda: storage.upload(FIVE, "new.txt", overwrite=False),
        lambda: storage.presign_post("form.txt"),
        *(admin.exists, admin.create, lambda: admin.expire("", days=1), lambda: admin.allow_origins(["*"])),
        lambda: cancelled_at(4, storage.upload(FIVE, "cancelled.txt")),
    ]
    for outcome in await asyncio.gather(*(call() for call in calls), return_exceptions=True):
        if isinstance(outcome, BaseException):
            shown.add_error(outcome)
        else:
            shown.add(outcome)
    client = storage._client
    shown.add(storage, client, client.wire, storage._credentials, admin, storage.file("file.txt"), client.wire._signer)


def quote(asked):
    """As S3 explains a wrong signature: with all that the client sent."""
    sent = f"{asked.path} {asked.headers.items()}"
    said = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{sent}</Message><Region>{sent}</Region></Error>"
    return reply(403, said.encode())


def echo(asked):
    """As a proxy that repeats headers, in the wrong place."""
    sent = asked.headers["Authorization"]
    return reply(400, x_amz_request_id=sent, x_amz_bucket_region=sent)


async def hang(asked):
    await asyncio.Event().wait()


ANSWERS = {
    "success": lambda asked: reply(200, FIVE if asked.method == "GET" else b"", ETag='"e"'),
    "wrong signature": quote,
    "bad header": lambda asked: reply(200, x=f"\0{asked.headers['Authorization']}"),
    "region that is a signature": echo,
    "redirect": lambda asked: reply(301, x_amz_bucket_region="eu-west-1", Location=asked.headers["Authorization"]),
    "wrong clock": lambda asked: reply(403, Date="Sat, 01 Jan 2000 00:00:00 GMT"),
    "slow down": lambda asked: reply(503),
    "closed": lambda asked: b"",
    "silent": hang,
    "not HTTP": lambda asked: f"SSH {asked.headers['Authorization']}\r\n\r\n".encode(),
    "cut": lambda asked: Ending(reply(200, FIVE, ETag='"e"')[:-2]),
}


@pytest.mark.usefixtures("_talkative_loop")
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_whatever_a_server_says_nothing_secret_is_shown(shown, signatures, answer):
    async with scripted(answer) as server:
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "aws_session_token": TOKEN}
        async with S3Storage("photos", endpoint_url=server.url, options=HASTY, **keys) as storage:
            await use_all(storage, shown)
    check(shown, {SECRET, TOKEN, *signatures})


@pytest.mark.usefixtures("_talkative_loop")
async def test_with_the_real_server_nothing_secret_is_shown(shown, signatures, s3_server, s3_bucket):
    async with s3_storage(s3_server, s3_bucket) as storage:
        await storage.upload(FIVE, "file.txt")
        await use_all(storage, shown)
    check(shown, {s3_server.secret_access_key, *signatures})


def check(shown, secrets):
    assert len(secrets) > 10
    everything = "\n".join(shown.texts)
    assert "_SelectorSocketTransport" in everything  # asyncio, too, says what it can
    assert [secret for secret in secrets if secret in everything] == []
