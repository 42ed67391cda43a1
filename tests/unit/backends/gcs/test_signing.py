"""Signatures against Google's published vectors, and against google-cloud-storage with a key of our own."""

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import google.auth.credentials
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from google.cloud.storage import Client, _signing
from hypothesis import given, settings
from hypothesis import strategies as st

from async_storages.backends.buckets.signatures import encode_path
from async_storages.backends.gcs.signing import form, presigned
from async_storages.errors import InvalidArgumentException
from tests.support.gcs_accounts import EMAIL, private_key, public_keys
from tests.support.gcs_signatures import Refused, verify_form, verify_url

NOW = datetime(2026, 11, 22, 9, 30, 1, 999_999, tzinfo=UTC)
ORIGIN = "https://storage.googleapis.com"
VECTORS = json.loads((Path(__file__).parent / "v4_signatures.json").read_text(encoding="utf-8"))
VECTORS_EMAIL = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"


def vectors(kind):
    return [pytest.param(vector, id=vector["description"]) for vector in VECTORS[kind]]


def sign(message):
    return private_key().sign(message, PKCS1v15(), SHA256())


def url(method="GET", origin=ORIGIN, path="/photos/a.jpg", expires_in=3600, now=NOW, **options):
    unsigned = presigned(EMAIL, method, origin, path, expires_in=expires_in, now=now, **options)
    return unsigned.with_signature(sign(unsigned.message))


def fields_of(key="a.jpg", **options):
    unsigned = form(EMAIL, "photos", key, **{"expires_in": 3600, "now": NOW, **options})
    return unsigned.with_signature(sign(unsigned.message))


# ---- what Google publishes


@pytest.mark.parametrize("vector", vectors("signingV4Tests"))
def test_the_string_to_sign_is_the_published_one(vector):
    unsigned = presigned(
        VECTORS_EMAIL,
        vector["method"],
        vector["origin"],
        encode_path(vector["path"]),
        expires_in=vector["expiration"],
        now=datetime.fromisoformat(vector["timestamp"]),
        query=vector.get("queryParameters"),
        headers=vector.get("headers"),
    )
    assert unsigned.message.decode() == vector["expectedStringToSign"]


@pytest.mark.parametrize("vector", vectors("postPolicyV4Tests"))
def test_the_policy_is_the_published_one(vector):
    named = {"startsWith": "starts-with", "contentLengthRange": "content-length-range"}
    unsigned = form(
        VECTORS_EMAIL,
        vector["bucket"],
        vector["object"],
        expires_in=vector["expiration"],
        now=datetime.fromisoformat(vector["timestamp"]),
        fields=vector.get("fields"),
        conditions=[[named[kind], *values] for kind, values in vector.get("conditions", {}).items()],
    )
    policy, expected = json.loads(b64decode(unsigned.message)), vector["expectedPolicy"]
    assert sorted(map(str, policy.pop("conditions"))) == sorted(map(str, expected["conditions"]))
    assert policy == {"expiration": expected["expiration"]}
    assert sorted(unsigned.with_signature(b"")) == vector["expectedFieldNames"]


# ---- what Google's library makes


class Credentials(google.auth.credentials.Signing, google.auth.credentials.AnonymousCredentials):
    """An account of google-auth's that has our key."""

    signer = None
    signer_email = EMAIL

    def sign_bytes(self, message):
        return sign(message)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
HOSTILE = ["a b", "a//b", "?x=1#f", "%41", "100%", "+", "~", "é/合同.txt", "&=;", "a\tb", "/", "'\""]
KEYS = TEXT | st.sampled_from(HOSTILE)
NAMES = st.sampled_from(["Content-Type", "x-goog-meta-A", "X-Goog-Acl", "foo"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
QUERIES = st.dictionaries(st.sampled_from(["response-content-type", "generation", "A", "é", "x y"]), TEXT, max_size=3)


@settings(max_examples=40, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    key=KEYS,
    query=QUERIES,
    headers=st.dictionaries(NAMES, VALUES, max_size=3),
)
def test_urls_equal_those_of_googles_library(method, key, query, headers):
    expected = _signing.generate_signed_url_v4(
        Credentials(),
        f"/photos/{encode_path(key)}",
        3600,
        api_access_endpoint=ORIGIN,
        method=method,
        headers=dict(headers),
        query_parameters=dict(query),
        _request_timestamp="20261122T093001Z",
    )
    made = url(method, path=f"/photos/{encode_path(key)}", query=query, headers=headers)
    assert made == expected
    parts = urlsplit(made)
    verify_url(method, parts.path, parts.query, [*headers.items(), ("Host", parts.netloc)], keys=public_keys(), now=NOW)


@settings(max_examples=20, deadline=None)
@given(key=TEXT.filter(lambda key: "${filename}" not in key), kind=VALUES)
def test_forms_equal_those_of_googles_library(key, kind):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("google.cloud.storage._signing._NOW", lambda _zone: NOW)
        patch.setattr("google.cloud.storage.client._NOW", lambda _zone: NOW.replace(microsecond=0))
        expected = Client("project", Credentials()).generate_signed_post_policy_v4(
            "photos",
            key,
            timedelta(hours=1),
            conditions=[["content-length-range", 0, 9]],
            fields={"Content-Type": kind},
        )["fields"]
    made = fields_of(key, fields={"Content-Type": kind}, conditions=[["content-length-range", 0, 9]])
    assert made.keys() == expected.keys()
    assert {**made, "policy": "", "x-goog-signature": ""} == {**expected, "policy": "", "x-goog-signature": ""}
    verify_form("photos", made.items(), 9, keys=public_keys(), now=NOW)


# ---- what the library leaves open


def test_the_port_of_an_emulator_is_sent_and_not_signed():
    made = presigned(EMAIL, "GET", "http://localhost:4443", "/photos/a", expires_in=60, now=NOW)
    plain = presigned(EMAIL, "GET", "http://localhost", "/photos/a", expires_in=60, now=NOW)
    assert made.message == plain.message
    assert made.with_signature(b"\1").startswith("http://localhost:4443/photos/a?")


UNSIGNABLE = {
    "no time at all": lambda: url(expires_in=0),
    "more than seven days": lambda: url(expires_in=604_801),
    "not a number": lambda: url(expires_in="3600"),
    "no time zone": lambda: url(now=NOW.replace(tzinfo=None)),
    "header with a line break": lambda: url(headers={"Content-Type": "text/html\r\nX: y"}),
    "parameter of the signature": lambda: url(query={"x-goog-expires": "999999999"}),
    "lone surrogate": lambda: url(query={"response-content-type": "\udcff"}),
    "form for too long": lambda: fields_of(expires_in=604_801),
    "form for any key": lambda: fields_of("uploads/${filename}"),
}


@pytest.mark.parametrize("make", [pytest.param(make, id=label) for label, make in UNSIGNABLE.items()])
def test_what_cannot_be_signed(make):
    with pytest.raises(InvalidArgumentException):
        make()


# ---- the judge of the other tests


def judged(method="GET", headers=(), *, signed=None, host="storage.googleapis.com", path=None, keys=None, now=NOW):
    """Judge a request to a URL that was made for GET, or for PUT with the headers `signed`."""
    parts = urlsplit(url("GET" if signed is None else "PUT", headers=signed))
    sent = [("Host", host), *dict(headers).items()]
    verify_url(method, path or parts.path, parts.query, sent, keys=public_keys() if keys is None else keys, now=now)


LIMITED = {"Content-Type": "image/png", "x-goog-content-length-range": "1,9"}
OF_NINE = {**LIMITED, "Content-Length": "9"}
WRONG = {
    "another key": {"path": "/photos/b.jpg"},
    "another method": {"method": "PUT"},
    "another host": {"host": "elsewhere.example"},
    "too late": {"now": NOW.replace(hour=10, minute=31)},
    "too early": {"now": NOW.replace(hour=9, minute=10)},
    "unknown account": {"keys": {}},
    "key of another account": {"keys": {EMAIL: private_key("other").public_key()}},
    "header added": {"headers": {"x-goog-acl": "public-read"}},
    "header missing": {"method": "PUT", "signed": LIMITED, "headers": {"Content-Type": "image/png"}},
    "header changed": {"method": "PUT", "signed": LIMITED, "headers": {**OF_NINE, "Content-Type": "text/html"}},
    "too large": {"method": "PUT", "signed": LIMITED, "headers": {**OF_NINE, "Content-Length": "10"}},
    "too small": {"method": "PUT", "signed": LIMITED, "headers": LIMITED},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_the_judge_refuses(wrong):
    with pytest.raises(Refused):
        judged(**wrong)


def test_the_judge_accepts_what_keeps_to_the_headers():
    judged("PUT", OF_NINE, signed=LIMITED)
