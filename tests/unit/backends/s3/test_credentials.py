"""Credentials, as AWS tools find them: from real files and variables, and from servers that play AWS."""

import asyncio
import gc
import json
import logging
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aioboto3
import boto3
import pytest

from async_storages.backends.s3.credentials import FoundCredentials, StaticCredentials, import_boto3
from async_storages.backends.s3.sigv4 import Credentials
from async_storages.backends.s3.storage import S3Storage
from async_storages.config import S3Config
from async_storages.errors import AccessDeniedException, InvalidArgumentException
from tests.support.scripted import reply, scripted


@pytest.fixture(autouse=True)
def aws(monkeypatch, tmp_path):
    """A function that sets variables; there are none of this user's, nor files."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def setup(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"AWS_{name}", str(value))

    return setup


@pytest.fixture
async def swept(caplog):
    """boto3 leaves its connections to the garbage collector, which takes two passes for them."""
    caplog.set_level(logging.CRITICAL, "botocore.credentials")  # else pytest keeps the errors that it logs, and theirs
    yield
    await asyncio.get_running_loop().shutdown_default_executor()  # a thread holds on to its last work for a moment
    gc.collect()
    gc.collect()


async def found(session=None):
    source = FoundCredentials(session)
    await source.resolve()
    return source


def shown(source):
    at_hand = source.at_hand()
    return at_hand.access_key_id, at_hand.secret_access_key, at_hand.session_token, source.region


def write_profiles(folder: Path):
    folder.joinpath(".aws").mkdir()
    folder.joinpath(".aws/credentials").write_text(
        "[default]\naws_access_key_id=k\naws_secret_access_key=s\n[other]\naws_access_key_id=k2\naws_secret_access_key=s2\n"
    )
    folder.joinpath(".aws/config").write_text("[default]\nregion=eu-west-1\n[profile other]\nregion=eu-west-2\n")


async def test_given_ones_are_at_hand():
    source = StaticCredentials(Credentials("k", "s", "t"))
    await source.resolve()
    assert shown(source) == ("k", "s", "t", None)


async def test_from_the_environment(aws):
    aws(ACCESS_KEY_ID="k", SECRET_ACCESS_KEY="s", SESSION_TOKEN="t", DEFAULT_REGION="eu-west-1")
    assert shown(await found()) == ("k", "s", "t", "eu-west-1")


@pytest.mark.parametrize(
    ("profile", "expected"), [(None, ("k", "s", None, "eu-west-1")), ("other", ("k2", "s2", None, "eu-west-2"))]
)
async def test_from_a_profile(aws, tmp_path, profile, expected):
    write_profiles(tmp_path)
    if profile:
        aws(PROFILE=profile)
    assert shown(await found()) == expected


@pytest.mark.parametrize("module", [boto3, aioboto3], ids=["boto3", "aioboto3"])
async def test_from_a_session_of_the_users(tmp_path, module):
    write_profiles(tmp_path)
    given = module.Session(aws_access_key_id="k", aws_secret_access_key="s", region_name="eu-west-3")
    assert shown(await found(given)) == ("k", "s", None, "eu-west-3")
    assert shown(await found(module.Session(profile_name="other"))) == ("k2", "s2", None, "eu-west-2")


# ---- the region, which a URL is presigned for

KEYS = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}


def storage_of(*, config, keys, region=None):
    if not config:
        return S3Storage("photos", region_name=region, **(KEYS if keys else {}))
    given = {"access_key_id": "k", "secret_access_key": "s"} if keys else {}
    return S3Storage.from_config(S3Config(default_bucket="photos", **({"region": region} if region else {}), **given))


async def presigned_region(storage):
    async with storage:
        await storage.prepare()
        url = storage.presign("a.jpg")
    region = re.search("X-Amz-Credential=[^&]*%2F([^%]+)%2Fs3%2F", url)[1]
    assert url.startswith(f"https://photos.s3.{region}.amazonaws.com/".replace(".us-east-1", ""))
    return region


@pytest.mark.parametrize("config", [False, True], ids=["S3Storage", "S3Config"])
@pytest.mark.parametrize("keys", [False, True], ids=["found", "given"])
@pytest.mark.parametrize(
    ("variables", "given", "expected"),
    [
        ({}, None, "us-east-1"),
        ({"DEFAULT_REGION": "eu-west-1"}, None, "eu-west-1"),
        ({"REGION": "eu-west-2", "DEFAULT_REGION": "eu-west-1"}, None, "eu-west-2"),
        ({"REGION": "eu-west-2", "DEFAULT_REGION": "eu-west-1"}, "us-east-1", "us-east-1"),
    ],
    ids=["nowhere", "default", "both", "said"],
)
async def test_a_url_is_presigned_for_the_region_of_the_environment_if_none_is_said(
    aws, config, keys, variables, given, expected
):
    aws(**variables, **({} if keys else {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}))
    assert await presigned_region(storage_of(config=config, keys=keys, region=given)) == expected


@pytest.mark.parametrize("config", [False, True], ids=["S3Storage", "S3Config"])
@pytest.mark.parametrize(
    ("variables", "given", "expected"),
    [
        ({}, None, "eu-west-1"),
        ({"PROFILE": "other"}, None, "eu-west-2"),
        ({"REGION": "eu-west-3"}, None, "eu-west-3"),
        ({}, "us-east-1", "us-east-1"),
    ],
    ids=["default", "other", "environment", "said"],
)
async def test_a_url_is_presigned_for_the_region_of_the_profile_if_nothing_says_another(
    aws, tmp_path, config, variables, given, expected
):
    write_profiles(tmp_path)
    aws(**variables)
    assert await presigned_region(storage_of(config=config, keys=False, region=given)) == expected


@pytest.mark.parametrize(("said", "expected"), [("eu-west-3", "eu-west-3"), (None, "eu-west-2")])
async def test_the_region_of_a_session_of_the_users_goes_before_the_environments(aws, said, expected):
    aws(REGION="eu-west-2")
    session = boto3.Session(**KEYS, region_name=said)
    assert await presigned_region(S3Storage("photos", session=session)) == expected


async def test_the_place_of_a_bucket_is_the_same_in_every_environment(aws):
    """By it a ledger knows the storage again, in workers that are set up otherwise."""
    there = S3Storage("photos", **KEYS)
    aws(REGION="eu-west-2")
    here = S3Storage("photos", **KEYS)
    assert here.location == here.with_bucket("photos").location == there.location


async def test_a_public_url_names_the_region_of_the_environment_before_credentials_are_known(aws):
    aws(REGION="eu-west-2")
    assert await S3Storage("photos").get_path("a.jpg") == "https://photos.s3.eu-west-2.amazonaws.com/a.jpg"


def test_a_region_in_the_environment_that_is_none_is_refused_at_once(aws):
    aws(REGION="eu west")
    with pytest.raises(InvalidArgumentException, match="region"):
        S3Storage("photos", **KEYS)


async def test_from_nowhere():
    with pytest.raises(AccessDeniedException, match="no AWS credentials: give"):
        await found()


async def test_from_a_profile_that_is_not_there(aws):
    aws(PROFILE="missing")
    with pytest.raises(AccessDeniedException, match="ProfileNotFound"):
        await found()


async def test_before_they_are_known_they_are_not_at_hand():
    with pytest.raises(InvalidArgumentException, match="prepare"):
        FoundCredentials().at_hand()


def test_without_boto3_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ImportError, match="pip install"):
        import_boto3()


# ---- from servers


def when(minutes):
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Sts:
    """AWS Security Token Service: gives a new key each time, for so many minutes, or refuses."""

    def __init__(self):
        self.given = 0
        self.minutes = 60
        self.refuses = False
        self.secret, self.token = "s", "t"
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, asked):
        self.is_asked.set()
        await self.may_answer.wait()
        if self.refuses:
            return reply(403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
        self.given += 1
        return reply(
            200,
            f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
            <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>k{self.given}</AccessKeyId>
            <SecretAccessKey>{self.secret}</SecretAccessKey><SessionToken>{self.token}</SessionToken>
            <Expiration>{when(self.minutes)}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
            </AssumeRoleWithWebIdentityResponse>""".encode(),
        )


@pytest.fixture
async def sts(aws, swept, tmp_path):
    (tmp_path / "token").write_text("a token")
    sts = Sts()
    async with scripted(sts) as server:
        aws(
            ROLE_ARN="arn:aws:iam::123456789012:role/r",
            WEB_IDENTITY_TOKEN_FILE=tmp_path / "token",
            ENDPOINT_URL_STS=server.url,
            DEFAULT_REGION="eu-west-1",
        )
        yield sts


SESSIONS = pytest.mark.parametrize(
    "make", [lambda: None, boto3.Session, aioboto3.Session], ids=["own", "boto3", "aioboto3"]
)


@SESSIONS
async def test_from_a_web_identity(sts, make):
    source = await found(make())
    await source.resolve()
    assert shown(source) == ("k1", "s", "t", "eu-west-1")
    assert sts.given == 1


@SESSIONS
async def test_no_log_line_shows_them(sts, make, caplog):
    """At DEBUG botocore would log what it sends and what is answered, word by word."""
    sts.secret, sts.token = "hidden-secret", "hidden-token"
    with caplog.at_level(logging.DEBUG):
        await found(make())
    assert "botocore" in {record.name.partition(".")[0] for record in caplog.records}
    for secret in (sts.secret, sts.token, "a token"):
        assert secret not in caplog.text
    assert not logging.getLogger("botocore.parsers").filters


@SESSIONS
@pytest.mark.parametrize("minutes", [14, 9])
async def test_they_are_refreshed_before_they_expire(sts, make, minutes):
    sts.minutes = minutes
    source = await found(make())
    sts.minutes = 60
    await source.resolve()
    await source.resolve()
    assert shown(source)[0] == "k2"
    assert sts.given == 2


@SESSIONS
async def test_while_they_last_a_refusal_does_not_matter(sts, make):
    sts.minutes = 14
    source = await found(make())
    sts.refuses = True
    await source.resolve()
    assert shown(source)[0] == "k1"


@SESSIONS
async def test_a_refusal_when_they_end_does(sts, make):
    sts.minutes = 5
    source = await found(make())
    sts.refuses = True
    with pytest.raises(AccessDeniedException):
        await source.resolve()


async def test_those_that_have_expired_are_not_at_hand(sts):
    sts.minutes = 10
    source = await found()
    source._provider._time_fetcher = lambda: datetime.now(UTC) + timedelta(minutes=11)
    with pytest.raises(InvalidArgumentException, match="expired"):
        source.at_hand()
    sts.minutes = 60
    await source.resolve()
    assert shown(source)[0] == "k2"


async def test_all_who_need_them_at_once_ask_once(sts):
    source = FoundCredentials()
    await asyncio.gather(*(source.resolve() for _ in range(50)))
    assert sts.given == 1


async def test_those_who_still_have_some_do_not_wait_for_whoever_asks(sts):
    sts.minutes = 14
    source = await found()
    sts.minutes = 60
    sts.may_answer.clear()
    sts.is_asked.clear()
    asking = asyncio.create_task(source.resolve())
    await sts.is_asked.wait()
    await source.resolve()
    assert shown(source)[0] == "k1"
    sts.may_answer.set()
    await asking
    assert shown(source)[0] == "k2"


@SESSIONS
async def test_from_instance_metadata(aws, swept, make):
    def imds(asked):
        if asked.method == "PUT":
            return reply(200, b"token")
        if asked.path.endswith("security-credentials/"):
            return reply(200, b"role")
        said = {"Code": "Success", "AccessKeyId": "k", "SecretAccessKey": "s", "Token": "t", "Expiration": when(60)}
        return reply(200, json.dumps(said).encode())

    async with scripted(imds) as server:
        aws(EC2_METADATA_DISABLED="false", EC2_METADATA_SERVICE_ENDPOINT=server.url)
        assert shown(await found(make()))[:3] == ("k", "s", "t")


def test_none_of_it_shows_a_secret():
    source = FoundCredentials(boto3.Session(aws_access_key_id="k", aws_secret_access_key="hidden"))
    asyncio.run(source.resolve())
    assert "hidden" not in repr([source, vars(source), source.at_hand(), StaticCredentials(source.at_hand())])
