"""Tracebacks with locals, as rich and Sentry show them: no key, token or signature is in any of them."""

import base64
import errno
import inspect
import os
import re
import time
from dataclasses import replace

import pytest

from async_storages import (
    AccessDeniedException,
    CloudFrontSigner,
    CustomerKey,
    FastdfsConfig,
    FastDFSStorage,
    FileTypeConfig,
    FileValidator,
    GCSStorage,
    LocalStorage,
    MemoryStorage,
    S3Config,
    S3Storage,
    StorageManager,
    UploadOptions,
)
from async_storages.backends.s3.sigv4 import Credentials
from async_storages.backends.transport.retries import Retries
from async_storages.integrations.fastapi import DirectUploads, FileTokens, files_router
from async_storages.signing import TokenSigner, check_expires_in
from tests.support.gcs_accounts import service_account
from tests.support.s3 import FAST
from tests.support.shown import Shown

SECRET = "wJalrXUtnFEMI+K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDP" * 8
"""Longer than rich shows of a text: it then shows the beginning."""

KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": SECRET, "aws_session_token": TOKEN}
ID = "group1/M00/00/00/wKgDhF7zb-GAdBjQAAAADcNDGRM463.txt"


def shown_of(error):
    shown = Shown()
    shown.add_error(error)
    return shown


async def error_of(made):
    """What a traceback shows of the error that comes of it."""
    try:
        outcome = made()
        if inspect.isawaitable(outcome):
            await outcome
    except Exception as error:  # noqa: BLE001 - whatever it is, it shows nothing
        return shown_of(error)
    pytest.fail("nothing was raised")


async def test_the_capture_sees_what_is_not_hidden():
    """Else nothing here would prove anything."""
    shown = await error_of(lambda: MemoryStorage().stat(f"{SECRET}.txt"))
    assert len(shown.shown_with({SECRET})) > 5


@pytest.mark.parametrize("operation", ["save", "read", "stat", "copy"])
async def test_a_customers_key_is_not_shown(operation):
    key = os.urandom(32)
    encrypted = UploadOptions(encryption=CustomerKey(key))
    async with S3Storage(
        "photos", endpoint_url="http://127.0.0.1:1", upload_options=encrypted, options=FAST, **KEYS
    ) as storage:
        operations = {
            "save": lambda: storage.save(b"a", "a.txt"),
            "read": lambda: storage.read("a.txt"),
            "stat": lambda: storage.stat("a.txt"),
            "copy": lambda: storage.copy("a.txt", "b.txt"),
        }
        shown = await error_of(operations[operation])
    assert shown.shown_with({base64.b64encode(key).decode()}) == []


MISTAKES = {
    "s3 bucket": lambda: S3Storage("A B", **KEYS),
    "s3 domain": lambda: S3Storage("photos", custom_domain="a b", **KEYS),
    "s3 acl": lambda: S3Storage("photos", default_acl="a b", **KEYS),
    "s3 secret": lambda: S3Storage("photos", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key=f"{SECRET}\n"),
    "s3 token": lambda: S3Storage("photos", **{**KEYS, "aws_session_token": f"{TOKEN} "}),
    "s3 token alone": lambda: S3Storage("photos", aws_session_token=TOKEN),
    "s3 session": lambda: S3Storage("photos", session=object(), **KEYS),
    "s3 credentials": lambda: Credentials("", SECRET, TOKEN),
    "s3 config": lambda: S3Storage.from_config(
        S3Config(
            endpoint="a b",
            access_key_id="AKIDEXAMPLE",
            secret_access_key=SECRET,
            session_token=TOKEN,
            default_bucket="b",
        )
    ),
    "s3 proxy": lambda: S3Storage("photos", proxy=f"http://somebody:{SECRET}@proxy", default_acl="a b", **KEYS),
    "s3 proxy that is none": lambda: S3Storage("photos", proxy=f"ftp://somebody:{SECRET}@proxy", **KEYS),
    "gcs proxy": lambda: GCSStorage("A B", proxy=f"http://somebody:{SECRET}@proxy"),
    "s3 presign": lambda: S3Storage("photos", **KEYS).presign("a.txt", expires_in=0),
    "s3 presign method": lambda: S3Storage("photos", **KEYS).presign("a.txt", method="PATCH"),
    "s3 form": lambda: S3Storage("photos", **KEYS).presign_post("${filename}"),
    "s3 signature": lambda: S3Storage("photos", **KEYS).presign("a.txt", content_type="text/plain\n", method="PUT"),
    "cloudfront": lambda: CloudFrontSigner("K2JCJMDEHXQW5F", f"-----BEGIN {SECRET}"),
    "gcs key": lambda: GCSStorage(
        "photos", service_account_info={**service_account(), "private_key": SECRET}
    ).prepare(),
    "gcs type": lambda: GCSStorage("photos", service_account_info={"type": "x", "private_key": SECRET}).prepare(),
    "gcs bucket": lambda: GCSStorage("A B", service_account_info={**service_account(), "private_key": SECRET}),
    "gcs both": lambda: GCSStorage("photos", service_file="a", service_account_info={"private_key": SECRET}),
    "fastdfs url": lambda: FastDFSStorage(FastdfsConfig(tracker_servers=["a:1"], secret_key=SECRET), url_base="a b"),
    "fastdfs option": lambda: FastDFSStorage(["a:1"], secret_key=SECRET, url_base="a b"),
    "fastdfs link": lambda: FastDFSStorage(["a:1"], secret_key=SECRET, token_ttl=60, url_base="http://a").presign(
        "not an id"
    ),
    "fastdfs long link": lambda: FastDFSStorage(
        ["a:1"], secret_key=SECRET * 30, token_ttl=60, url_base="http://a"
    ).presign(ID),
    "local base": lambda: LocalStorage("files", "ftp://a", SECRET),
    "local secrets": lambda: LocalStorage("files", "http://a", [SECRET, ""]),
    "local presign": lambda: LocalStorage("files", "http://a", SECRET).presign("a.txt", content_type="a b"),
    "tokens": lambda: FileTokens([SECRET, ""]),
    "tokens expiry": lambda: FileTokens(SECRET, expires_in=0),
    "router": lambda: files_router(StorageManager.from_storages(MemoryStorage()), SECRET, authorize=print),
    "direct uploads": lambda: DirectUploads(MemoryStorage(), [SECRET, ""], folder="a", validator=None),
    "direct uploads expiry": lambda: DirectUploads(MemoryStorage(), SECRET, folder="a", validator=None, expires_in=0),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
async def test_no_mistake_shows_a_secret(mistake):
    shown = await error_of(mistake)
    assert shown.shown_with({SECRET, TOKEN[:40], TOKEN[-40:]}) == []


async def test_a_server_that_is_gone():
    options = replace(FAST, retries=Retries(attempts=2, base=0))
    async with S3Storage("photos", endpoint_url="http://127.0.0.1:9", options=options, **KEYS) as s3:
        shown = await error_of(lambda: s3.upload(b"x", "a.txt"))
    assert shown.shown_with({SECRET, TOKEN[:40], "Signature=", "AWS4-HMAC-SHA256 "}) == []


# ---- tokens of our own


@pytest.fixture
def local(tmp_path):
    return LocalStorage(tmp_path / "files", base_url="http://a/files", secret_key=SECRET)


def token_in(url):
    return url.partition("token=")[2]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_good_token_for_something_else_is_not_shown(local, method):
    token = token_in(local.presign("a.txt"))
    shown = await error_of(lambda: local.verify_presigned(method, "a.txt", token))
    assert shown.shown_with({token, token[-43:], SECRET}) == []


async def test_a_token_that_is_over_is_not_shown(monkeypatch):
    signer = TokenSigner(SECRET, "tests")
    token = signer.sign({"a": "b"}, check_expires_in(60))
    monkeypatch.setattr(time, "time", lambda: 4e9)
    shown = await error_of(lambda: signer.verify(token))
    assert shown.shown_with({token, token[-43:], SECRET}) == []


async def test_a_file_token_for_something_else_is_not_shown():
    tokens = FileTokens(SECRET)
    token = tokens.sign("mem:a.txt", "manage", owner="ada")
    shown = await error_of(lambda: tokens.file_id(token, "manage", owner="bob"))
    assert shown.shown_with({token, token[-43:], SECRET}) == []


# ---- pending uploads: their keys are signed


async def test_an_error_of_the_system_names_no_path(local, monkeypatch):
    async with local:
        await local.upload(b"x", "folder/secret-name.txt")

        def fail(path, *_, **__):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(os, "lstat", fail)
        monkeypatch.setattr("pathlib.Path.lstat", fail)
        with pytest.raises(AccessDeniedException) as caught:
            await local.stat("folder/secret-name.txt")
    cause = caught.value.__cause__
    assert (type(cause), cause.errno, cause.filename) == (PermissionError, errno.EACCES, None)
    assert "secret-name" not in str(cause)


@pytest.mark.parametrize("step", ["nothing was uploaded", "refused content", "another owner", "a broken disk"])
async def test_no_error_of_a_direct_upload_shows_its_key(local, monkeypatch, step):
    rules = FileValidator(FileTypeConfig(type_whitelist=["image/png"]))
    async with local:
        uploads = DirectUploads(local, SECRET, folder="photos", validator=rules)
        started = await uploads.start("cat.png", 7, owner="ada")
        if step != "nothing was uploaded":
            await local.upload(b"<html> ", started.key)
        if step == "a broken disk":

            def fail(path, *_, **__):
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

            monkeypatch.setattr("pathlib.Path.lstat", fail)
        owner = "bob" if step == "another owner" else "ada"
        shown = await error_of(lambda: uploads.attach(started.key, owner=owner))
    [signature] = re.findall(r"\.([\w-]{43})/", started.key)
    assert shown.shown_with({signature, SECRET}) == []
