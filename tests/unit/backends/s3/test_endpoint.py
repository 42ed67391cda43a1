"""Addresses of buckets: spelled out for people, and against botocore's endpoint rules."""

import botocore.session
import pytest
from botocore.auth import _host_from_url
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from async_storages.backends.s3.endpoint import Endpoint
from async_storages.errors import InvalidArgumentException

BUCKETS = ["my-bucket", "my--bucket", "my.bucket", "my..bucket", "My-Bucket", "my_bucket", "10.0.0.1", "1.2.3", "ab"]
BUCKETS += ["-ab", "ab-", "bucket.", "xn--foo", "a" * 63, "a" * 64, "a" * 255]
REGIONS = [None, "us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1"]
REGIONS += ["us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"]
SERVERS = ["http://localhost:9000", "https://minio.example.com", "https://minio.example.com:9443/base/path"]
SERVERS += ["http://10.0.0.1:9000", "https://[::1]:8333", "https://s3-accelerate.amazonaws.com"]
SERVERS += ["https://s3.us-east-1.amazonaws.com"]


class Sent(Exception):
    """Ends a request that botocore is about to send."""


@pytest.fixture(scope="module")
def botocore_session():
    return botocore.session.Session()


@pytest.fixture
def botocore_url(botocore_session):
    """Where botocore sends a HEAD request for a key."""

    def stop(request, **_):
        raise Sent(request.url)

    def url(buckets, key, style, **options):
        client = botocore_session.create_client(
            "s3",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(s3={"addressing_style": style}, retries={"total_max_attempts": 1}),
            **options,
        )
        client.meta.events.register("before-send.s3", stop)
        for bucket in buckets:
            with pytest.raises(Sent) as sent:
                client.head_object(Bucket=bucket, Key=key)
            yield sent.value.args[0]

    return url


@pytest.mark.parametrize("use_ssl", [True, False], ids=["https", "http"])
@pytest.mark.parametrize("style", ["auto", "path", "virtual"])
@pytest.mark.parametrize("region", REGIONS)
def test_on_aws_a_bucket_is_where_botocore_looks_for_it(botocore_url, region, style, use_ssl):
    options = {"region_name": region, "use_ssl": use_ssl}
    theirs = dict(zip(BUCKETS, botocore_url(BUCKETS, "a//b é", style, **options), strict=True))
    endpoints = {bucket: Endpoint.for_bucket(bucket, addressing_style=style, **options) for bucket in BUCKETS}
    assert {bucket: endpoint.url("a//b é") for bucket, endpoint in endpoints.items()} == theirs
    assert {endpoint.region for endpoint in endpoints.values()} == {region or "us-east-1"}


@pytest.mark.parametrize("style", ["auto", "path", "virtual"])
@pytest.mark.parametrize("server", SERVERS)
def test_elsewhere_a_bucket_is_where_botocore_looks_for_it(botocore_url, server, style):
    # Two exceptions: botocore would make http://my.bucket.10.0.0.1, and ignores "path" for accelerated endpoints.
    buckets = [bucket for bucket in BUCKETS if "." not in bucket or "10.0.0.1" not in server]
    style = "auto" if "accelerate" in server else style
    options = {"region_name": "eu-west-1", "endpoint_url": server}
    theirs = dict(zip(buckets, botocore_url(buckets, "a/../b?#%41+", style, **options), strict=True))
    endpoints = {bucket: Endpoint.for_bucket(bucket, addressing_style=style, **options) for bucket in buckets}
    assert {bucket: endpoint.url("a/../b?#%41+") for bucket, endpoint in endpoints.items()} == theirs


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://photos.s3.amazonaws.com/a%20b"),
        ({"region_name": "eu-west-1"}, "https://photos.s3.eu-west-1.amazonaws.com/a%20b"),
        ({"region_name": "cn-north-1"}, "https://photos.s3.cn-north-1.amazonaws.com.cn/a%20b"),
        ({"addressing_style": "path"}, "https://s3.amazonaws.com/photos/a%20b"),
        ({"endpoint_url": "localhost:9000", "use_ssl": False}, "http://localhost:9000/photos/a%20b"),
        ({"endpoint_url": "localhost:9000"}, "https://localhost:9000/photos/a%20b"),
        ({"endpoint_url": "http://localhost:9000", "use_ssl": True}, "http://localhost:9000/photos/a%20b"),
        ({"endpoint_url": "HTTPS://MinIO.Example.com:443/"}, "https://minio.example.com/photos/a%20b"),
        ({"endpoint_url": "http://minio_1:00080"}, "http://minio_1/photos/a%20b"),
        ({"endpoint_url": "http://[0:0::0001]:80"}, "http://[::1]/photos/a%20b"),
        ({"endpoint_url": "http://minio.svc.cluster.local.:9000"}, "http://minio.svc.cluster.local:9000/photos/a%20b"),
        ({"endpoint_url": "http://10.0.0.1", "addressing_style": "virtual"}, "http://10.0.0.1/photos/a%20b"),
        ({"endpoint_url": "http://h:443/v1/s3/"}, "http://h:443/v1/s3/photos/a%20b"),
        ({"endpoint_url": "h.example/v1", "addressing_style": "virtual"}, "https://photos.h.example/v1/a%20b"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()) or "default",
)
def test_where_a_key_is(options, url):
    assert Endpoint.for_bucket("photos", **options).url("a b") == url


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://photos.s3.amazonaws.com/"),
        ({"addressing_style": "path"}, "https://s3.amazonaws.com/photos"),
        ({"endpoint_url": "http://h/v1", "addressing_style": "virtual"}, "http://photos.h/v1"),
    ],
    ids=["virtual", "path", "virtual below a path"],
)
def test_where_the_bucket_itself_is(options, url):
    endpoint = Endpoint.for_bucket("photos", **options)
    assert endpoint.bucket_url == url == endpoint.origin + endpoint.bucket_path


@pytest.mark.parametrize(
    "server", [*SERVERS, "HTTPS://MinIO.Example.com:443", "http://h.:80", "http://[0:0::1]:80", "http://h:443"]
)
def test_the_host_is_the_one_that_is_sent(server):
    """What botocore signs, and what aiohttp sends by itself."""
    endpoint = Endpoint.for_bucket("photos", endpoint_url=server, addressing_style="path")
    assert endpoint.host == _host_from_url(endpoint.url("k")) == URL(server).host_port_subcomponent


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_aiohttp_sends_the_path_as_it_is_signed(key):
    endpoint = Endpoint.for_bucket("photos", endpoint_url="http://localhost:9000")
    assert URL(endpoint.url(key), encoded=True).raw_path_qs == endpoint.path(key)


BAD_SERVERS = [
    "",
    "/",
    "http://",
    "ftp://h",
    "http:/h",
    "h:port",
    "h:70000",
    "h:-1",
    "http://h?a=b",
    "http://h/#a",
    "http://h/a b",
]
BAD_SERVERS += [
    "http://[::g]",
    "http://[::1",
    "::1",
    "http://h\n",
    "http://h\r\nX: y",
    "http://h/é",
    "http://hé",
    "//h",
    9000,
]
BAD_SERVERS += ["http://user:hunter2@h", "http://hunter2@h/a", "hunter2@h:9000"]


@pytest.mark.parametrize("server", BAD_SERVERS)
def test_a_malformed_endpoint_is_refused_without_repeating_it(server):
    with pytest.raises(InvalidArgumentException, match="endpoint_url must be") as refused:
        Endpoint.for_bucket("photos", endpoint_url=server)
    assert "hunter2" not in f"{refused.value!r}{vars(refused.value)}"


@pytest.mark.parametrize(
    "options",
    [
        *(
            {"bucket_name": each}
            for each in ["", ".", "..", ".a", "a/b", "a b", "a\n", "ä", "a" * 256, "arn:aws:s3:::b", None]
        ),
        *({"region_name": each} for each in ["eu west", "evil.example/", "a" * 64, "eu-west-1\n", "-a", "\u212aorea"]),
        {"addressing_style": "vhost"},
    ],
    ids=str,
)
def test_other_malformed_options_are_refused_too(options):
    with pytest.raises(InvalidArgumentException):
        Endpoint.for_bucket(**{"bucket_name": "photos"} | options)


@pytest.mark.parametrize("key", ["", "\ud800"], ids=ascii)
def test_a_key_that_cannot_be_in_a_url_is_refused(key):
    endpoint = Endpoint.for_bucket("photos")
    with pytest.raises(InvalidArgumentException):
        endpoint.path(key)
