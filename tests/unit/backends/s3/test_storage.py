"""What an S3Storage does without a server: names, URLs, options, and what it imports."""

import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from async_storages import registry
from async_storages.backends.s3.storage import S3Storage
from async_storages.errors import (
    AccessDeniedException,
    DeleteNotSupportedException,
    InvalidArgumentException,
    RouteNotSupportedException,
)
from async_storages.storage.capabilities import (
    SupportsCopy,
    SupportsDirectUpload,
    SupportsList,
    SupportsMetadata,
    SupportsPresign,
)

KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "hidden"}


def s3(bucket_name="photos", **options):
    return S3Storage(bucket_name, **KEYS | options)


@pytest.mark.parametrize(
    "protocol", [SupportsPresign, SupportsDirectUpload, SupportsList, SupportsCopy, SupportsMetadata]
)
def test_it_has_every_power(protocol):
    assert isinstance(s3(), protocol)


# ---- URLs


LOCAL = {"endpoint_url": "localhost:9000", "use_ssl": False}
URLS = {
    "AWS": ({}, "https://photos.s3.amazonaws.com/"),
    "AWS in a region": ({"region_name": "eu-west-1"}, "https://photos.s3.eu-west-1.amazonaws.com/"),
    "China": ({"region_name": "cn-north-1"}, "https://photos.s3.cn-north-1.amazonaws.com.cn/"),
    "dotted bucket": ({"bucket_name": "my.photos"}, "https://s3.amazonaws.com/my.photos/"),
    "path style": ({"addressing_style": "path"}, "https://s3.amazonaws.com/photos/"),
    "without a scheme": (LOCAL, "http://localhost:9000/photos/"),
    "with a scheme": ({"endpoint_url": "http://localhost:9000"}, "http://localhost:9000/photos/"),
    "TLS by default": ({"endpoint_url": "minio.example.com"}, "https://minio.example.com/photos/"),
    "virtual style": (LOCAL | {"addressing_style": "virtual"}, "http://photos.localhost:9000/"),
    "public URL": (LOCAL | {"public_url": "https://files.example.com"}, "https://files.example.com/photos/"),
    "domain": ({"custom_domain": "cdn.example.com"}, "https://cdn.example.com/"),
    "domain without TLS": (LOCAL | {"custom_domain": "cdn.example.com"}, "http://cdn.example.com/"),
    "domain with a scheme": ({"custom_domain": "http://cdn.example.com:81/"}, "http://cdn.example.com:81/"),
    "domain with a path": ({"custom_domain": "cdn.example.com/media/"}, "https://cdn.example.com/media/"),
    "domain before presigning": (
        {"custom_domain": "cdn.example.com", "querystring_auth": True},
        "https://cdn.example.com/",
    ),
    "prefix": (LOCAL | {"prefix": "/uploads/"}, "http://localhost:9000/photos/uploads/"),
    "prefix and domain": ({"custom_domain": "cdn.example.com", "prefix": "a b"}, "https://cdn.example.com/a%20b/"),
}


@pytest.mark.parametrize(("options", "root"), URLS.values(), ids=URLS)
async def test_a_url_is_what_was_configured(options, root):
    storage = s3(**options)
    assert await storage.get_path("a b/#?%41+ü.txt".replace("?", "")) == f"{root}a%20b/%23%2541%2B%C3%BC.txt"


async def test_a_url_may_be_presigned():
    url = urlsplit(await s3(**LOCAL, querystring_auth=True).get_path("a.txt"))
    assert (url.netloc, url.path) == ("localhost:9000", "/photos/a.txt")
    assert parse_qs(url.query)["X-Amz-Expires"] == ["3600"]


def test_urls_are_presigned_for_the_server_as_browsers_reach_it():
    storage = s3(endpoint_url="http://minio:9000", public_url="https://files.example.com")
    assert storage.presign("a.txt").startswith("https://files.example.com/photos/a.txt?")
    assert [url.split("?")[0] for url in storage.presign_many(["a", "b"])] == [
        f"https://files.example.com/photos/{key}" for key in "ab"
    ]


async def test_forms_go_to_the_server_as_browsers_reach_it():
    storage = s3(endpoint_url="http://minio:9000", public_url="https://files.example.com")
    assert (await storage.presign_post("a.txt")).url == "https://files.example.com/photos"


def asked_for(url):
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items() if not name.startswith("X-Amz-")}


def test_what_a_presigned_url_asks_for():
    storage = s3(default_acl="public-read", storage_class="STANDARD_IA")
    for method in ("GET", "HEAD"):
        url = storage.presign("0123456789abcdef_a.txt", method=method, disposition="inline", content_type="a/b")
        assert asked_for(url) == {
            "response-content-disposition": 'inline; filename="a.txt"',
            "response-content-type": "a/b",
        }
    url = storage.presign("a.txt", method="PUT", content_type="a/b", content_length=5, filename="b.txt")
    assert asked_for(url) == {}
    signed = ["content-length;content-type;host;x-amz-acl;x-amz-storage-class"]
    assert parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"] == signed
    assert storage.presigned_headers(content_type="a/b", content_length=5) == {
        "Content-Type": "a/b",
        "x-amz-acl": "public-read",
        "x-amz-storage-class": "STANDARD_IA",
    }
    assert asked_for(storage.presign("a.txt", method="DELETE")) == {}


async def test_what_a_form_asks_for():
    made = await s3(default_acl="public-read").presign_post("a.txt", content_type="a/b", max_size=5)
    assert (made.fields["acl"], made.fields["Content-Type"], made.fields["key"]) == (
        "public-read",
        "a/b",
        "a.txt",
    )


@pytest.mark.parametrize("expires_in", [0, 604_801, -1, float("nan"), "60"])
async def test_times_that_s3_would_refuse_are_refused(expires_in):
    with pytest.raises(InvalidArgumentException, match="expires_in"):
        s3().presign("a.txt", expires_in)
    with pytest.raises(InvalidArgumentException, match="expires_in"):
        s3().presign_many(["a.txt"], expires_in)
    with pytest.raises(InvalidArgumentException, match="expires_in"):
        await s3().presign_post("a.txt", expires_in)


# ---- names


def test_bare_keys_are_relative_to_the_prefix_and_ids_are_not():
    storage = s3(prefix="uploads/2026")
    assert str(storage.identify("a.txt")) == "s3:photos/uploads/2026/a.txt"
    assert str(storage.identify("s3:photos/uploads/2026/a.txt")) == "s3:photos/uploads/2026/a.txt"
    assert str(storage.identify(storage.file("a.txt"))) == "s3:photos/uploads/2026/a.txt"
    assert str(storage.identify("uploads/2026/a.txt")) == "s3:photos/uploads/2026/uploads/2026/a.txt"


@pytest.mark.parametrize(
    "name",
    [
        "s3:photos/a.txt",
        "s3:photos/uploads.txt",
        "s3:photos/uploads2/a.txt",
        "s3:photos/uploads",
        "s3:others/uploads/a.txt",
        "gs:photos/uploads/a.txt",
    ],
)
def test_ids_outside_the_prefix_are_refused(name):
    with pytest.raises(RouteNotSupportedException):
        s3(prefix="uploads").identify(name)


@pytest.mark.parametrize("name", ["../a.txt", "a/../../b", "/a", "uploads//a", "s3:photos/uploads/../a.txt"])
def test_no_name_leads_out_of_the_prefix(name):
    with pytest.raises(InvalidArgumentException):
        s3(prefix="uploads").identify(name)


# ---- options


BAD = {
    "bucket": {"bucket_name": "a/b"},
    "endpoint with a password": {"endpoint_url": "http://user:hidden@localhost"},
    "public URL with a password": {"public_url": "http://user:hidden@localhost"},
    "domain with a password": {"custom_domain": "user:hidden@cdn.example.com"},
    "domain with a query": {"custom_domain": "cdn.example.com?a=b"},
    "domain with a blank": {"custom_domain": "cdn example.com"},
    "domain of another scheme": {"custom_domain": "ftp://cdn.example.com"},
    "prefix that leads elsewhere": {"prefix": "../uploads"},
    "prefix that the gate would change": {"prefix": "uploads/CON"},
    "region": {"region_name": "eu west"},
    "style": {"addressing_style": "vhost"},
    "key without a secret": {"aws_secret_access_key": None},
    "secret without a key": {"aws_access_key_id": None},
    "empty key": {"aws_access_key_id": ""},
    "secret with a line break": {"aws_secret_access_key": "hidden\n"},
    "key and session": {"session": object()},
    "header injection": {"default_acl": "private\r\nx: y"},
    "storage class": {"storage_class": "é"},
}


@pytest.mark.parametrize("options", BAD.values(), ids=BAD)
def test_options_that_cannot_be_right_are_refused_at_once(options):
    with pytest.raises(InvalidArgumentException) as refused:
        s3(**options)
    assert "hidden" not in str(refused.value)


def test_everything_but_the_bucket_is_named():
    with pytest.raises(TypeError):
        S3Storage("photos", "localhost:9000")


def test_it_can_be_registered():
    storage = s3(name="photos of tests")
    assert registry.get("photos of tests") is storage
    registry.unregister("photos of tests")


def test_two_servers_are_told_apart():
    assert s3(endpoint_url="http://a").location != s3(endpoint_url="http://b").location


# ---- what it may not do


async def test_a_read_only_storage_changes_nothing():
    """It would say so sooner or later: there is no server."""
    storage = s3(read_only=True, endpoint_url="http://localhost:1")
    for attempt in (
        lambda: storage.upload(b"", "a.txt"),
        lambda: storage.save(b""),
        lambda: storage.copy("a.txt", "b.txt"),
        lambda: storage.set_metadata("a.txt", {}),
        lambda: storage.presign_post("a.txt"),
    ):
        with pytest.raises(AccessDeniedException, match="read_only"):
            await attempt()
    for method in ("PUT", "DELETE"):
        with pytest.raises(AccessDeniedException, match="read_only"):
            storage.presign("a.txt", method=method)
    for attempt in (lambda: storage.delete("a.txt"), lambda: storage.delete_many(["a.txt"])):
        with pytest.raises(DeleteNotSupportedException):
            await attempt()
    assert storage.presign("a.txt")


def test_nothing_shows_a_secret():
    storage = s3(aws_session_token="hidden-token", prefix="uploads", name=None)
    shown = [repr(storage), storage.location, repr(storage.bucket_admin), repr(storage.file("a.txt"))]
    assert "hidden" not in "".join(map(str, shown))
    assert repr(storage) == "S3Storage('photos', location='https://photos.s3.amazonaws.com/')"


def test_without_a_key_presigning_says_what_to_do():
    with pytest.raises(InvalidArgumentException, match="prepare"):
        S3Storage("photos").presign("a.txt")


def test_a_given_key_and_presigning_need_no_boto():
    """Which would take 0.5 s and 40 MB."""
    program = """
import asyncio, sys
from async_storages import S3Storage
storage = S3Storage("photos", aws_access_key_id="k", aws_secret_access_key="s", endpoint_url="http://localhost:1")
storage.presign("a.txt"), storage.presign_many(["a.txt"]), asyncio.run(storage.presign_post("a.txt"))
asyncio.run(storage.get_path("a.txt")), storage.bucket_admin
asyncio.run(storage.prepare())
print([name for name in sys.modules if name.split(".")[0] in {"boto3", "botocore", "aioboto3", "aiobotocore"}])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
