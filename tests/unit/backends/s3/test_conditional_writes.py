"""How files are created on servers that refuse or ignore conditions, request by request."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from async_storages import (
    FileExistsException,
    OperationNotSupportedException,
    S3Storage,
    StorageUnavailableException,
    UploadOptions,
)
from async_storages.backends.s3.conditional_writes import CREATE, REPLACE, Conditions, Creation, Support
from async_storages.config import S3Config
from async_storages.errors import InvalidArgumentException, StorageException, StorageOperationException
from tests.support.s3 import FAST
from tests.support.scripted import reply, scripted

MADE = {"ETag": '"827ccb0eea8a706c4c34a16891f84e7b"'}  # of 12345
BODY = b"12345"


def refused(status=501, code="NotImplemented", named=True):
    """As Backblaze B2 and Aliyun OSS answer."""
    header = "<Header>If-None-Match</Header>" if named else ""
    return reply(status, f"<Error><Code>{code}</Code>{header}</Error>".encode())


@pytest.fixture
def refusal():
    return refused()


def storage_at(url, **options):
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "checksums": "required"}
    return S3Storage("photos", endpoint_url=url, **keys, options=FAST, **options)


class Bucket:
    """A server with the objects of one bucket, and one way to take conditions."""

    def __init__(self, answer_to_condition=None, *, honours=False):
        self.keys = {}
        self.answer_to_condition, self.honours = answer_to_condition, honours
        self.asked = []

    def __call__(self, asked):
        key, has_condition = asked.path.partition("?")[0].removeprefix("/photos/"), "If-None-Match" in asked.headers
        if "async-storages-probe" not in key:
            self.asked.append(f"{asked.method}{'*' if has_condition else ''}")
        if asked.method == "PUT":
            if has_condition and self.answer_to_condition is not None:
                return self.answer_to_condition
            if has_condition and self.honours and key in self.keys:
                return reply(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            self.keys[key] = asked.body
            return reply(200, **MADE)
        if asked.method == "DELETE":
            self.keys.pop(key, None)
            return reply(204, Content_Length=None)
        if key not in self.keys:
            return reply(404)
        return reply(200, Content_Length=str(len(self.keys[key])), **MADE)


async def made_by(bucket, use, **options):
    async with scripted(bucket) as server, storage_at(server.url, **options) as storage:
        return await use(storage)


@pytest.mark.parametrize("answer", [refused(), refused(named=False), refused(400, "InvalidArgument")])
async def test_new_files_are_stored_where_conditions_are_refused(answer):
    """One request more, once."""
    bucket = Bucket(answer)

    async def save(storage):
        for _ in range(3):
            assert (await storage.save(BODY, "a.txt")).file_id

    await made_by(bucket, save)
    assert bucket.asked == ["PUT*", "PUT", "PUT", "PUT"]
    assert len(bucket.keys) == 3


async def test_a_refusal_of_something_else_is_told():
    body = b"<Error><Code>NotImplemented</Code><Header>x-amz-acl</Header></Error>"
    bucket = Bucket(reply(501, body))
    with pytest.raises(StorageOperationException, match="501 NotImplemented"):
        await made_by(bucket, lambda storage: storage.save(BODY, "a.txt"))
    assert bucket.asked == ["PUT*"]


async def test_a_server_that_refuses_everything_is_not_taken_for_one_that_refuses_conditions():
    async def save(storage):
        for _ in range(2):
            with pytest.raises(StorageOperationException, match="501"):
                await storage.save(BODY, "a.txt")

    async with scripted(lambda _: refused(named=False)) as server, storage_at(server.url) as storage:
        await save(storage)
    assert ["If-None-Match" in asked.headers for asked in server.asked] == [True, False] * 2


@pytest.mark.parametrize("setting", ["auto", True])
async def test_a_refused_condition_is_told_with_what_to_set(refusal, setting):
    bucket = Bucket(refusal)

    async def upload(storage):
        for _ in range(2):
            with pytest.raises(OperationNotSupportedException, match=r"If-None-Match.*conditional_writes=False"):
                await storage.upload(BODY, "a.txt", overwrite=False)
        await storage.upload(BODY, "a.txt")

    await made_by(bucket, upload, conditional_writes=setting)
    assert bucket.keys == {"a.txt": BODY}


async def test_where_conditions_are_known_to_do_nothing_files_are_looked_for(refusal):
    bucket = Bucket(refusal)

    async def upload(storage):
        await storage.upload(BODY, "a.txt", overwrite=False)
        with pytest.raises(FileExistsException):
            await storage.upload(b"other", "a.txt", overwrite=False)
        await storage.save(BODY, "b.txt")

    await made_by(bucket, upload, conditional_writes=False)
    assert bucket.asked == ["HEAD", "PUT", "HEAD", "PUT"]
    assert bucket.keys["a.txt"] == BODY


async def test_where_conditions_are_ignored_files_are_looked_for_with_a_warning(caplog):
    bucket = Bucket()

    async def upload(storage):
        for name in "ab":
            await storage.upload(BODY, name, overwrite=False)
            with pytest.raises(FileExistsException):
                await storage.upload(b"other", name, overwrite=False)

    await made_by(bucket, upload)
    assert bucket.asked == ["HEAD", "PUT*", "HEAD"] * 2
    [warning] = caplog.records
    assert (warning.levelno, "which races" in warning.getMessage()) == (logging.WARNING, True)


async def test_something_else_that_is_refused_is_not_taken_for_the_condition():
    """An option that the server does not know, of one call: others go on as before."""
    bucket = Bucket(honours=True)

    async def create(storage):
        await storage.upload(BODY, "first.txt", overwrite=False)
        bucket.answer_to_condition = refused(named=False)
        with pytest.raises(StorageException, match="501"):
            await storage.upload(BODY, "second.txt", overwrite=False)
        bucket.answer_to_condition = None
        await storage.upload(BODY, "third.txt", overwrite=False)

    await made_by(bucket, create)
    assert sorted(bucket.keys) == ["first.txt", "third.txt"]


async def test_where_conditions_are_honoured_nothing_else_is_asked():
    bucket = Bucket(honours=True)

    async def upload(storage):
        await storage.upload(BODY, "a.txt", overwrite=False)
        with pytest.raises(FileExistsException):
            await storage.upload(b"other", "a.txt", overwrite=False)

    await made_by(bucket, upload)
    assert bucket.asked == ["PUT*", "PUT*"]


async def test_who_may_not_try_is_told_and_files_are_looked_for(caplog):
    bucket = Bucket()

    def answer(asked):
        return reply(403) if "probe" in asked.path else bucket(asked)

    async with scripted(answer) as server, storage_at(server.url) as storage:
        await storage.upload(BODY, "a.txt", overwrite=False)
    assert bucket.asked == ["HEAD", "PUT*"]
    assert "could not be tried" in caplog.text


async def test_a_server_is_tried_with_objects_that_it_may_delete():
    """Though files are locked here: the probe's own would stay until the lock ends."""
    bucket, locked = Bucket(honours=True), set()

    def answer(asked):
        key = asked.path.removeprefix("/photos/")
        if "x-amz-object-lock-mode" in asked.headers:
            locked.add(key)
        return reply(403) if asked.method == "DELETE" and key in locked else bucket(asked)

    lock = UploadOptions(lock_mode="GOVERNANCE", lock_until=datetime(2040, 1, 1, tzinfo=UTC))
    async with scripted(answer) as server, storage_at(server.url, upload_options=lock) as storage:
        await storage.upload(BODY, "a.txt", overwrite=False)
    assert locked == {*bucket.keys} == {"a.txt"}


async def test_a_server_that_is_down_is_tried_again():
    found = [StorageUnavailableException("down"), Support.HONOURED]

    async def probe(_request):
        outcome = found.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    conditions = Conditions("auto", lambda _bucket: False)
    with pytest.raises(StorageUnavailableException):
        await conditions.creation("photos", "put", probe, overwrite=False, is_fresh=False)
    for _ in range(2):
        assert await conditions.creation("photos", "put", probe, overwrite=False, is_fresh=False) == CREATE
    assert await conditions.creation("photos", "put", probe, overwrite=True, is_fresh=False) == REPLACE


async def never(_request):
    raise AssertionError("it is known")


@pytest.mark.parametrize(
    "url", [None, "https://s3.eu-west-1.amazonaws.com", "https://s3.cn-north-1.amazonaws.com.cn", "https://evil.com"]
)
def test_aws_is_known(url):
    storage = storage_at(url, region_name="eu-west-1")
    creation = storage._client.conditions.creation("photos", "copy", never, overwrite=False, is_fresh=False)
    if url == "https://evil.com":
        with pytest.raises(AssertionError):
            asyncio.run(creation)
    else:
        assert asyncio.run(creation) == CREATE


def test_new_files_are_undone_though_the_condition_proves_nothing():
    conditions = Conditions("auto", lambda _bucket: False)
    creation = conditions.creation("photos", "put", never, overwrite=False, is_fresh=True)
    assert asyncio.run(creation) == Creation(is_conditional=True, is_fresh=True)


@pytest.mark.parametrize("setting", ["yes", None, 1, 0, "True"])
def test_other_settings_are_refused(setting):
    with pytest.raises(InvalidArgumentException, match="conditional_writes"):
        storage_at(None, conditional_writes=setting)


@pytest.mark.parametrize(("said", "setting"), [("auto", "auto"), ("true", True), ("false", False), (False, False)])
def test_the_setting_is_read_as_text_too(said, setting):
    assert S3Config(default_bucket="b", conditional_writes=said).conditional_writes is setting or said == "auto"
