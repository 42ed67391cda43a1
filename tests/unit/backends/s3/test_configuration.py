"""Where the server and the profile come from, as every AWS tool finds them; and how long what is presigned lasts."""

import gc
import json
import os
import warnings
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import aioboto3
import boto3
import botocore.session
import pytest

from async_storages import CredentialsExpireWarning, InvalidArgumentException, S3Config, S3Storage
from async_storages.backends.s3.endpoint import endpoint_of_environment
from tests.support.scripted import reply, scripted

KEYS = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
CONFIG = """
[default]
region = eu-west-1
endpoint_url = http://default.example.com:9000
[profile general]
region = eu-west-2
endpoint_url = http://general.example.com
[profile special]
services = mine
endpoint_url = http://general.example.com
[profile ignoring]
endpoint_url = http://general.example.com
ignore_configured_endpoint_urls = true
[profile none]
region = eu-west-3
[services mine]
s3 =
  endpoint_url = http://special.example.com
"""


@pytest.fixture(autouse=True)
def aws(monkeypatch, tmp_path):
    """A function that sets variables; the only ones, beside a folder of profiles."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = tmp_path / ".aws"
    folder.mkdir()
    folder.joinpath("config").write_text(CONFIG)
    profiles = ("default", "general", "special", "ignoring", "none")
    keys = "".join(f"[{name}]\naws_access_key_id={name}\naws_secret_access_key=s\n" for name in profiles)
    folder.joinpath("credentials").write_text(keys)

    def setup(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"AWS_{name}", str(value))

    return setup


async def asked(storage):
    """Host and access key of a presigned URL."""
    async with storage:
        await storage.prepare()
        url = urlsplit(storage.presign("a.txt"))
    return url.netloc, url.query.partition("Credential=")[2].partition("%2F")[0]


async def host(storage):
    return (await asked(storage))[0]


# ---- the server


ENVIRONMENTS = {
    "none": ({}, None),
    "all services": ({"AWS_ENDPOINT_URL": "http://a"}, "http://a"),
    "S3": ({"AWS_ENDPOINT_URL_S3": "http://b"}, "http://b"),
    "both": ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}, "http://b"),
    "empty": ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": ""}, "http://a"),
    "ignored": ({"AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True"}, None),
    "not ignored": ({"AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}, "http://a"),
}


@pytest.mark.parametrize(("environment", "expected"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_environment_names_a_server(environment, expected):
    assert endpoint_of_environment(environment) == expected


@pytest.mark.parametrize("config", [False, True], ids=["S3Storage", "S3Config"])
@pytest.mark.parametrize("keys", [False, True], ids=["found", "given"])
async def test_the_environments_server_is_asked_unless_another_is_said(aws, config, keys):
    aws(ENDPOINT_URL="http://minio:9000")
    if config:
        given = {"access_key_id": "k", "secret_access_key": "s"} if keys else {}
        made = [S3Config(default_bucket="photos", endpoint=said, **given) for said in (None, "http://other:1")]
        here, there = map(S3Storage.from_config, made)
    else:
        here, there = (
            S3Storage("photos", endpoint_url=said, **(KEYS if keys else {})) for said in (None, "http://other:1")
        )
    assert here.location == "http://minio:9000/photos"
    assert (await host(here), await host(there)) == ("minio:9000", "other:1")


PROFILES = {
    "default": "default.example.com:9000",
    "general": "general.example.com",
    "special": "special.example.com",
    "ignoring": "photos.s3.amazonaws.com",
    "none": "photos.s3.eu-west-3.amazonaws.com",
}


@pytest.mark.parametrize(("profile", "expected"), PROFILES.items())
@pytest.mark.parametrize("how", ["profile_name", "config", "AWS_PROFILE", "boto3", "aioboto3"])
async def test_the_profiles_server_is_asked(aws, how, profile, expected):
    if how == "profile_name":
        storage = S3Storage("photos", profile_name=profile)
    elif how == "config":
        storage = S3Storage.from_config(S3Config(default_bucket="photos", profile_name=profile))
    elif how == "AWS_PROFILE":
        aws(PROFILE=profile)
        storage = S3Storage("photos")
    else:
        module = {"boto3": boto3, "aioboto3": aioboto3}[how]
        storage = S3Storage("photos", session=module.Session(profile_name=profile))
    assert await asked(storage) == (expected, profile)


# a profile that has the environment ignored is obeyed by botocore alone: ours has its address before it reads files
@pytest.mark.parametrize("profile", ["special", "none"])
@pytest.mark.parametrize("variables", [{}, {"ENDPOINT_URL": "http://a:1"}, {"ENDPOINT_URL_S3": "http://b:1"}], ids=str)
async def test_it_is_the_server_that_botocore_asks(aws, profile, variables):
    aws(PROFILE=profile, **variables)
    client = botocore.session.Session(profile=profile).create_client("s3", region_name="us-east-1")
    theirs = urlsplit(client.meta.endpoint_url).netloc
    ours = await host(S3Storage("photos", region_name="us-east-1"))
    assert ours.removeprefix("photos.") == theirs.replace("s3.us-east-1.amazonaws.com", "s3.amazonaws.com")


async def test_with_keys_given_no_profile_is_read():
    assert await host(S3Storage("photos", **KEYS)) == "photos.s3.amazonaws.com"


async def test_the_environments_region_counts_with_keys_given(aws):
    aws(DEFAULT_REGION="eu-west-1")
    assert await host(S3Storage("photos", **KEYS)) == "photos.s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("more", [{"session": boto3.Session(**KEYS)}, KEYS], ids=["session", "keys"])
def test_there_is_but_one_source_of_credentials(more):
    with pytest.raises(InvalidArgumentException, match="profile_name"):
        S3Storage("photos", profile_name="general", **more)


# ---- how long


@pytest.fixture
def swept():
    """boto3 leaves its connections to the garbage collector, which takes two passes for them."""
    yield
    gc.collect()
    gc.collect()


@pytest.fixture
async def role(aws, swept, tmp_path, monkeypatch):
    """Credentials of a role, for 60 minutes."""
    ends = (datetime.now(UTC) + timedelta(minutes=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"AccessKeyId": "role", "SecretAccessKey": "s", "Token": "t", "Expiration": ends}
    async with scripted(lambda _: reply(200, json.dumps(said).encode(), Content_Type="application/json")) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        yield


@pytest.mark.usefixtures("role")
async def test_what_outlives_its_credentials_is_signed_with_a_warning(recwarn):
    async with S3Storage("photos") as storage:
        await storage.prepare()
        for presign in (
            lambda: storage.presign("a.txt", 4000),
            lambda: storage.presign("a.txt", 4000, method="PUT"),
            lambda: storage.presign_many(["a.txt"], 4000),
        ):
            with pytest.warns(CredentialsExpireWarning, match="presigned for 4000 seconds ends earlier"):
                assert presign()
        with pytest.warns(CredentialsExpireWarning):
            await storage.presign_post("a.txt", 4000)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            storage.presign("a.txt", 3000)
            storage.presign_many(["a.txt"], 3000)
            await storage.presign_post("a.txt", 3000)


async def test_what_a_users_key_signs_lasts():
    async with S3Storage("photos", profile_name="general") as storage:
        await storage.prepare()
        assert storage.presign("a.txt", 604_800)
    assert S3Storage("photos", **KEYS).presign("a.txt", 604_800)
