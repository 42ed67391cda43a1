"""The signer against botocore, which it must equal byte for byte, and against the examples that AWS publishes."""

import contextlib
import functools
import hashlib
import pickle
import string
import traceback
from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone
from json import loads
from types import SimpleNamespace
from unittest.mock import patch
from urllib.parse import quote

import botocore.session
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from async_storages.backends.s3.endpoint import Endpoint
from async_storages.backends.s3.sigv4 import (
    EMPTY_SHA256,
    STREAMING_UNSIGNED_PAYLOAD_TRAILER,
    UNSIGNED_PAYLOAD,
    Credentials,
    Signer,
    encode_path,
    encode_query,
)
from async_storages.errors import InvalidArgumentException

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDP+a/b=="
NOW = datetime(2013, 5, 24, tzinfo=UTC)
ORIGIN = "https://examplebucket.s3.amazonaws.com"
HOST = "examplebucket.s3.amazonaws.com"
ODD_KEYS = [
    "a//b",
    "/a",
    "a/",
    ".",
    "a/../b",
    "?",
    "#",
    "a?b=c&d",
    "%41",
    "%",
    "a+b",
    "a b",
    "été/写真.jpg",
    "😀",
    "~",
    "\n",
]

texts = st.text(st.characters(codec="utf-8"), max_size=40)
keys = st.sampled_from(ODD_KEYS) | texts.filter(bool)
tokens = st.none() | st.text(string.ascii_letters + "+/=", min_size=1, max_size=60)
credentials = st.builds(Credentials, st.just(KEY_ID), st.text("aA0+/=é !", min_size=1, max_size=100), tokens)
regions = st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "auto", "RegionOne"])
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
clocks = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=zones)  # noqa: DTZ001 bounds have no zone
expiries = st.integers(1, 604_800)
header_names = st.sampled_from(
    ["Content-Type", "content-length", "X-Amz-Acl", "Range", "If-None-Match", "Expect", "User-Agent", "X-Amzn-Trace-Id"]
) | st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=10).map("x-amz-meta-{}".format)
header_values = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]) | st.just(" "), max_size=40)
header_sets = st.dictionaries(header_names, header_values, max_size=6).filter(
    lambda headers: len({name.lower() for name in headers}) == len(headers)
)
parameter_names = st.sampled_from(
    [
        "response-content-disposition",
        "response-content-type",
        "partNumber",
        "uploadId",
        "versionId",
        "prefix",
        "list-type",
    ]
) | texts.filter(lambda name: name and not name.lower().startswith("x-amz-"))
queries = st.dictionaries(parameter_names, texts, max_size=4)
endpoints = st.builds(
    Endpoint.for_bucket,
    st.sampled_from(["examplebucket", "my.dotted.bucket", "Old_Bucket"]),
    region_name=regions,
    endpoint_url=st.sampled_from([None, "localhost:9000", "https://minio.example.com/base/path", "http://[::1]:8333"]),
    addressing_style=st.sampled_from(["auto", "path", "virtual"]),
    use_ssl=st.booleans(),
)


@contextlib.contextmanager
def botocore_clock(now):
    stopped = now.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    with (
        patch("botocore.auth.get_current_datetime", lambda: stopped),
        patch("botocore.signers.get_current_datetime", lambda: stopped),
    ):
        yield


def botocore_credentials(own):
    return BotocoreCredentials(own.access_key_id, own.secret_access_key, own.session_token)


@functools.cache
def botocore_client(token=None):
    return botocore.session.Session().create_client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        aws_session_token=token,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "payload", "signed", "signature"),
    [
        pytest.param(
            "GET",
            "test.txt",
            {},
            {"Range": "bytes=0-9"},
            b"",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            id="GET object",
        ),
        pytest.param(
            "PUT",
            "test$file.text",
            {},
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            id="PUT object",
        ),
        pytest.param(
            "GET",
            "",
            {"lifecycle": ""},
            {},
            b"",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            id="GET bucket lifecycle",
        ),
        pytest.param(
            "GET",
            "",
            {"prefix": "J", "max-keys": "2"},
            {},
            b"",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            id="list objects",
        ),
    ],
)
def test_headers_equal_the_examples_of_aws(method, path, query, headers, payload, signed, signature):
    payload_hash = hashlib.sha256(payload).hexdigest()
    signer = Signer(Credentials(KEY_ID, SECRET), "us-east-1")
    added = signer.sign(
        method, HOST, f"/{encode_path(path)}", query=query, headers=headers, payload_hash=payload_hash, now=NOW
    )
    assert added == {
        "x-amz-date": "20130524T000000Z",
        "x-amz-content-sha256": payload_hash,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={signed}, Signature={signature}",
    }


def test_a_presigned_url_equals_the_example_of_aws():
    presign = Signer(Credentials(KEY_ID, SECRET), "us-east-1").presigner("GET", ORIGIN, expires_in=86400, now=NOW)
    assert presign("/test.txt") == (
        f"{ORIGIN}/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={KEY_ID}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@settings(deadline=None, max_examples=300)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
    endpoint=endpoints,
    key=keys,
    query=queries,
    headers=header_sets,
    payload=st.sampled_from([UNSIGNED_PAYLOAD, STREAMING_UNSIGNED_PAYLOAD_TRAILER]) | st.binary(max_size=20),
    own=credentials,
    now=clocks,
)
def test_signed_headers_equal_botocores(method, endpoint, key, query, headers, payload, own, now):
    in_any_order = "&".join(f"{quote(name, '~')}={quote(value, '~')}" for name, value in query.items())
    request = AWSRequest(method, f"{endpoint.url(key)}?{in_any_order}", headers, data=payload)
    if payload == STREAMING_UNSIGNED_PAYLOAD_TRAILER:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    request.context["client_config"] = SimpleNamespace(s3={"payload_signing_enabled": isinstance(payload, bytes)})
    with botocore_clock(now):
        S3SigV4Auth(botocore_credentials(own), "s3", endpoint.region).add_auth(request)

    payload_hash = hashlib.sha256(payload).hexdigest() if isinstance(payload, bytes) else payload
    added = Signer(own, endpoint.region).sign(
        method, endpoint.host, endpoint.path(key), query=query, headers=headers, payload_hash=payload_hash, now=now
    )
    assert headers | added == {
        next((own for own in headers | added if own.lower() == name.lower()), name): value
        for name, value in request.headers.items()
    }


@settings(deadline=None, max_examples=300)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    endpoint=endpoints,
    key=keys,
    query=queries,
    headers=header_sets,
    own=credentials,
    now=clocks,
    expires_in=expiries,
)
@example(
    "GET", Endpoint.for_bucket("b"), "a", {"a-b": "", "a": "1"}, {}, Credentials(KEY_ID, SECRET, TOKEN), NOW, 604_800
)
@example(
    "PUT", Endpoint.for_bucket("b"), "a", {}, {"X-Amz-Content-SHA256": EMPTY_SHA256}, Credentials("k", "s"), NOW, 1
)
def test_presigned_urls_equal_botocores(method, endpoint, key, query, headers, own, now, expires_in):
    request = AWSRequest(method, endpoint.url(key), headers, params=dict(query))
    with botocore_clock(now):
        S3SigV4QueryAuth(botocore_credentials(own), "s3", endpoint.region, expires=expires_in).add_auth(request)
    presign = Signer(own, endpoint.region).presigner(
        method, endpoint.origin, expires_in=expires_in, now=now, query=query, headers=headers
    )
    assert presign(endpoint.path(key)) == request.url


@pytest.mark.parametrize("token", [None, TOKEN], ids=["static", "session"])
@pytest.mark.parametrize(
    ("operation", "parameters", "method", "query", "headers"),
    [
        pytest.param("get_object", {}, "GET", {}, {}, id="GET"),
        pytest.param(
            "get_object",
            {"ResponseContentDisposition": 'attachment; filename="a b.pdf"', "ResponseContentType": "text/plain"},
            "GET",
            {"response-content-disposition": 'attachment; filename="a b.pdf"', "response-content-type": "text/plain"},
            {},
            id="GET as a download",
        ),
        pytest.param("get_object", {"VersionId": "v/1+="}, "GET", {"versionId": "v/1+="}, {}, id="GET version"),
        pytest.param("head_object", {}, "HEAD", {}, {}, id="HEAD"),
        pytest.param("delete_object", {}, "DELETE", {}, {}, id="DELETE"),
        pytest.param(
            "put_object",
            {"ContentType": "image/png", "ContentLength": 5, "ACL": "private", "Metadata": {"Who": "me  too"}},
            "PUT",
            {},
            {"content-type": "image/png", "content-length": "5", "x-amz-acl": "private", "x-amz-meta-who": "me  too"},
            id="PUT",
        ),
        pytest.param(
            "upload_part",
            {"PartNumber": 3, "UploadId": "x.y/z"},
            "PUT",
            {"partNumber": "3", "uploadId": "x.y/z"},
            {},
            id="part",
        ),
    ],
)
def test_what_a_boto_client_would_presign(operation, parameters, method, query, headers, token):
    endpoint = Endpoint.for_bucket("examplebucket", region_name="eu-west-1")
    signer = Signer(Credentials(KEY_ID, SECRET, token), endpoint.region)
    presign = signer.presigner(method, endpoint.origin, expires_in=3600, now=NOW, query=query, headers=headers)
    with botocore_clock(NOW):
        theirs = {
            key: botocore_client(token).generate_presigned_url(
                operation, {"Bucket": "examplebucket", "Key": key, **parameters}
            )
            for key in ODD_KEYS
        }
    assert {key: presign(endpoint.path(key)) for key in ODD_KEYS} == theirs


conditions = st.one_of(
    st.tuples(st.just("content-length-range"), st.integers(0, 99), st.integers(100, 2**40)).map(list),
    st.tuples(st.sampled_from(["starts-with", "eq"]), st.just("$Content-Type"), texts).map(list),
    st.dictionaries(st.sampled_from(["acl", "x-amz-meta-who"]), texts, min_size=1, max_size=1),
)


@settings(deadline=None, max_examples=200)
@given(
    key=keys.filter(lambda key: "${filename}" not in key),
    fields=st.dictionaries(st.sampled_from(["Content-Type", "acl", "success_action_status", "key"]), texts, max_size=3),
    extra=st.lists(conditions, max_size=4),
    token=st.sampled_from([None, TOKEN]),
    now=clocks,
    expires_in=expiries,
)
def test_post_forms_equal_botocores(key, fields, extra, token, now, expires_in):
    endpoint = Endpoint.for_bucket("examplebucket", region_name="eu-west-1")
    ours = Signer(Credentials(KEY_ID, SECRET, token), endpoint.region).presign_post(
        "examplebucket", key, expires_in=expires_in, now=now, fields=fields, conditions=extra
    )
    with botocore_clock(now):
        theirs = botocore_client(token).generate_presigned_post("examplebucket", key, fields, list(extra), expires_in)
    assert endpoint.bucket_url == theirs["url"]
    signed = {"policy", "x-amz-signature"}
    assert [each for each in ours.items() if each[0] not in signed] == [
        each for each in theirs["fields"].items() if each[0] not in signed
    ]
    assert list(ours) == list(theirs["fields"])
    if b64decode(ours["policy"]).isascii():
        assert ours == theirs["fields"]
    else:  # which botocore escapes
        assert loads(b64decode(ours["policy"])) == loads(b64decode(theirs["fields"]["policy"]))


def test_what_is_given_to_a_form_is_left_alone():
    fields, extra = {"acl": "private"}, [{"acl": "private"}]
    Signer(Credentials(KEY_ID, SECRET), "us-east-1").presign_post(
        "b", "k", expires_in=1, now=NOW, fields=fields, conditions=extra
    )
    assert (fields, extra) == ({"acl": "private"}, [{"acl": "private"}])


def test_a_request_signed_again_carries_only_the_latest_signature():
    signer = Signer(Credentials(KEY_ID, SECRET, TOKEN), "us-east-1")
    later = functools.partial(signer.sign, "GET", HOST, "/a", payload_hash=EMPTY_SHA256, now=NOW + timedelta(minutes=1))
    stale = signer.sign("GET", HOST, "/a", payload_hash=UNSIGNED_PAYLOAD, now=NOW)
    assert later(headers=stale) == later()
    assert later(headers={name.title(): value for name, value in stale.items()}) == later()


def test_a_signer_that_sees_midnight_both_ways_signs_as_a_fresh_one():
    credentials = Credentials(KEY_ID, SECRET)
    kept = Signer(credentials, "us-east-1")
    for now in (NOW, NOW - timedelta(seconds=1), NOW, NOW + timedelta(days=366)):
        fresh = Signer(credentials, "us-east-1")
        urls = [each.presigner("GET", ORIGIN, expires_in=60, now=now)("/a") for each in (kept, fresh)]
        assert urls[0] == urls[1]


OTHERWISE = {
    "method": {"method": "PUT"},
    "origin": {"origin": "https://elsewhere.example"},
    "expiry": {"expires_in": 61},
    "second": {"now": NOW + timedelta(seconds=1)},
    "query": {"query": {"a": "1"}},
    "headers": {"headers": {"a": "1"}},
}


@pytest.mark.parametrize("otherwise", OTHERWISE.values(), ids=OTHERWISE)
def test_what_is_kept_of_a_presigner_serves_nothing_else(otherwise):
    asked = {"method": "GET", "origin": ORIGIN, "expires_in": 60, "now": NOW}
    kept = Signer(Credentials(KEY_ID, SECRET), "us-east-1")
    for call in (asked, asked | otherwise, asked):
        fresh = Signer(Credentials(KEY_ID, SECRET), "us-east-1")
        assert kept.presigner(**call)("/a") == fresh.presigner(**call)("/a")


@pytest.mark.parametrize("fraction", [1.9, 604_800.0])
def test_fractions_of_a_second_are_dropped(fraction):
    signer = Signer(Credentials(KEY_ID, SECRET), "us-east-1")
    url = signer.presigner("GET", ORIGIN, expires_in=fraction, now=NOW.replace(microsecond=999_999))("/a")
    assert f"&X-Amz-Date=20130524T000000Z&X-Amz-Expires={int(fraction)}&" in url


def presign(**options):
    call = {"expires_in": 60, "now": NOW} | options
    return Signer(Credentials(KEY_ID, SECRET, TOKEN), "us-east-1").presigner("GET", ORIGIN, **call)


def sign(**options):
    call = {"payload_hash": EMPTY_SHA256, "now": NOW} | options
    return Signer(Credentials(KEY_ID, SECRET, TOKEN), "us-east-1").sign("GET", HOST, "/a", **call)


def presign_post(**options):
    call = {"key": "k", "expires_in": 60, "now": NOW} | options
    return Signer(Credentials(KEY_ID, SECRET, TOKEN), "us-east-1").presign_post("b", **call)


NAIVE = NOW.replace(tzinfo=None)
REFUSED = {
    **{
        f"expires in {each!r}": functools.partial(presign, expires_in=each)
        for each in (0, 0.9, -1, 604_801, "60", None)
    },
    "expires in nan": functools.partial(presign, expires_in=float("nan")),
    "expires in infinity": functools.partial(presign, expires_in=float("inf")),
    "form expires in 604801": functools.partial(presign_post, expires_in=604_801),
    "presign at a time without zone": functools.partial(presign, now=NAIVE),
    "sign at a time without zone": functools.partial(sign, now=NAIVE),
    "form for any key": functools.partial(presign_post, key="uploads/${filename}"),
    "form for any key below": functools.partial(presign_post, key="uploads/${filename}/a"),
    "form at a time without zone": functools.partial(presign_post, now=NAIVE),
    "own parameter": functools.partial(presign, query={"X-Amz-Expires": "999999"}),
    "own parameter in lower case": functools.partial(presign, query={"x-amz-security-token": "a"}),
    "surrogate in a parameter": functools.partial(presign, query={"prefix": "\ud800"}),
    "surrogate in a header": functools.partial(sign, headers={"x-amz-meta-a": "\ud800"}),
    "line break in a header": functools.partial(sign, headers={"x-amz-meta-a": "b\r\nx-amz-acl: public-read"}),
    "line break in a header's name": functools.partial(presign, headers={"x-amz-meta-a:b\nhost": "evil.example"}),
    "header without a name": functools.partial(presign, headers={"": "a"}),
    "empty secret": functools.partial(Credentials, KEY_ID, ""),
    "line break after the secret": functools.partial(Credentials, KEY_ID, f"{SECRET}\n", TOKEN),
    "surrogate in the secret": functools.partial(Credentials, KEY_ID, f"{SECRET}\ud800", TOKEN),
    "secret as bytes": functools.partial(Credentials, KEY_ID, SECRET.encode(), TOKEN),
    "empty key id": functools.partial(Credentials, "", SECRET, TOKEN),
    "line break in the key id": functools.partial(Credentials, f"{KEY_ID}\nX: y", SECRET, TOKEN),
    "empty token": functools.partial(Credentials, KEY_ID, SECRET, ""),
    "line break in the token": functools.partial(Credentials, KEY_ID, SECRET, f"{TOKEN}\n"),
    "pickle": functools.partial(pickle.dumps, Credentials(KEY_ID, SECRET, TOKEN)),
    "pickle of a signer": functools.partial(pickle.dumps, Signer(Credentials(KEY_ID, SECRET, TOKEN), "us-east-1")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_right_is_refused_without_showing_a_secret(case):
    with pytest.raises(InvalidArgumentException) as refused:
        REFUSED[case]()
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value) + repr(vars(refused.value))
    assert SECRET not in shown
    assert TOKEN not in shown


def test_no_repr_shows_a_secret():
    credentials = Credentials(KEY_ID, SECRET, TOKEN)
    signer = Signer(credentials, "us-east-1")
    signer.sign("GET", HOST, "/a", payload_hash=EMPTY_SHA256, now=NOW)
    for each in (credentials, signer, [credentials], {"signer": signer}, vars(signer)):
        for shown in (repr(each), str(each), f"{each}"):
            assert KEY_ID in shown
            assert SECRET not in shown
            assert TOKEN not in shown


def test_what_is_sent_is_what_is_signed():
    assert encode_path("a//b/./c ~%2F+?#é") == "a//b/./c%20~%252F%2B%3F%23%C3%A9"
    assert encode_query({"uploads": "", "a b": "~/+", "a": "", "A": "é"}) == "A=%C3%A9&a=&a%20b=~%2F%2B&uploads="
