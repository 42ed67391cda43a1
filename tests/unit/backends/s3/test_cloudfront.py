"""Signatures for CloudFront: against botocore's, byte by byte, and checked as CloudFront would."""

import json
import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.signers import CloudFrontSigner as BotocoreSigner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from async_storages import CloudFrontSigner, InvalidArgumentException, S3Storage

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
NOW = 1_800_000_000
ENDS = datetime.fromtimestamp(NOW + 600, UTC)
URL = "https://cdn.example.com/a%20b/film.mp4"
BOTOCORE = BotocoreSigner("K2JCJMDEHXQW5F", lambda message: KEY.sign(message, PKCS1v15(), SHA1()))


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)


@pytest.fixture
def signer():
    return CloudFrontSigner("K2JCJMDEHXQW5F", PEM)


def decoded(value):
    return b64decode(value.translate(str.maketrans("-_~", "+=/")), validate=True)


def verified(policy, signature):
    """What CloudFront reads out of a policy whose signature is good."""
    KEY.public_key().verify(decoded(signature), policy, PKCS1v15(), SHA1())
    return json.loads(policy)["Statement"][0]


def canned(resource, ends_at):
    return f'{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{ends_at}}}}}}}]}}'


@pytest.mark.parametrize("url", [URL, f"{URL}?response-content-type=video%2Fmp4", "http://cdn.example.com/a"])
def test_a_canned_policy_is_what_botocore_signs(signer, url):
    made = signer.signed_url(url, 600)
    assert made == BOTOCORE.generate_presigned_url(url, date_less_than=ENDS)
    query = parse_qs(urlsplit(made).query)
    verified(canned(url, NOW + 600).encode(), query["Signature"][0])


def test_a_custom_policy_is_what_botocore_signs(signer):
    starts = datetime.fromtimestamp(NOW - 60, UTC)
    made = signer.signed_url(URL, 600, starts_at=starts, ip="192.0.2.0/24")
    policy = BOTOCORE.build_policy(URL, ENDS, date_greater_than=starts, ip_address="192.0.2.0/24")
    mine, theirs = (
        parse_qs(urlsplit(url).query) for url in (made, BOTOCORE.generate_presigned_url(URL, policy=policy))
    )
    assert json.loads(decoded(mine["Policy"][0])) == json.loads(decoded(theirs["Policy"][0]))
    assert verified(decoded(mine["Policy"][0]), mine["Signature"][0]) == {
        "Resource": URL,
        "Condition": {
            "DateLessThan": {"AWS:EpochTime": NOW + 600},
            "DateGreaterThan": {"AWS:EpochTime": NOW - 60},
            "IpAddress": {"AWS:SourceIp": "192.0.2.0/24"},
        },
    }


def test_a_url_may_be_signed_for_more_than_itself(signer):
    query = parse_qs(urlsplit(signer.signed_url(URL, 600, resource="https://cdn.example.com/*")).query)
    found = verified(decoded(query["Policy"][0]), query["Signature"][0])
    assert found["Resource"] == "https://cdn.example.com/*"


def test_an_address_is_a_network_of_one(signer):
    query = parse_qs(urlsplit(signer.signed_url(URL, ip="192.0.2.7")).query)
    assert b'"AWS:SourceIp":"192.0.2.7/32"' in decoded(query["Policy"][0])


def test_cookies_for_many_files(signer):
    made = signer.signed_cookies("https://cdn.example.com/films/*", 600)
    assert [*made] == ["CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id"]
    found = verified(decoded(made["CloudFront-Policy"]), made["CloudFront-Signature"])
    assert found["Resource"] == "https://cdn.example.com/films/*"
    assert made["CloudFront-Key-Pair-Id"] == "K2JCJMDEHXQW5F"
    assert not any(set(value) & set('+=/;," ') for value in made.values())


def test_cookies_for_one_file_are_short(signer):
    made = signer.signed_cookies(URL, 600)
    assert [*made] == ["CloudFront-Expires", "CloudFront-Signature", "CloudFront-Key-Pair-Id"]
    verified(canned(URL, NOW + 600).encode(), made["CloudFront-Signature"])


def test_signatures_are_stable_within_a_window(signer, monkeypatch):
    def made_at(moment):
        monkeypatch.setattr(time, "time", lambda: moment)
        options = {"stable": timedelta(hours=1)}
        return signer.signed_url(URL, 600, **options), signer.signed_cookies(
            "https://cdn.example.com/*", 600, **options
        )

    assert made_at(7_200) == made_at(10_799) != made_at(10_800)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "cdn.example.com/a"},
        {"url": "https://cdn.example.com/a b"},
        {"url": "https://cdn.example.com/é"},
        {"url": 'https://cdn.example.com/"'},
        {"url": f"{URL}?Expires=5"},
        {"url": f"{URL}?a=b&Key-Pair-Id=5"},
        {"expires_in": 0},
        {"expires_in": 604_801},
        {"starts_at": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"starts_at": ENDS},
        {"ip": "192.0.2"},
        {"ip": "192.0.2.1/24"},
        {"resource": "*"},
    ],
    ids=str,
)
def test_what_cannot_be_signed_is_refused(signer, options):
    with pytest.raises(InvalidArgumentException):
        signer.signed_url(**{"url": URL, "expires_in": 600, **options})


def encoded(key, encryption=NoEncryption()):  # noqa: B008
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "secret nonsense",
        encoded(ec.generate_private_key(ec.SECP256R1())),
        encoded(KEY, BestAvailableEncryption(b"password")),
        None,
    ],
    ids=["empty", "nonsense", "elliptic", "encrypted", "none"],
)
def test_a_key_that_is_none_is_refused_and_not_shown(key):
    with pytest.raises(InvalidArgumentException, match="not an RSA key in PEM") as refused:
        CloudFrontSigner("K2JCJMDEHXQW5F", key)
    shown = [str(value) for frame in refused.traceback[1:] for value in frame.frame.f_locals.values()]
    assert not any("nonsense" in value or "PRIVATE" in value for value in shown)


@pytest.mark.parametrize("key_pair_id", ["", "a b", "a&b", None])
def test_an_id_that_is_none_is_refused(key_pair_id):
    with pytest.raises(InvalidArgumentException, match="is not the id of a key"):
        CloudFrontSigner(key_pair_id, PEM)


# ---- the storage

CREDENTIALS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret", "region_name": "eu-central-1"}


@pytest.fixture
def storage(signer):
    return S3Storage("films", custom_domain="cdn.example.com", cloudfront=signer, **CREDENTIALS)


def test_presigned_urls_are_those_of_the_distribution(storage, signer):
    assert storage.presign("a b.mp4", 600) == signer.signed_url("https://cdn.example.com/a%20b.mp4", 600)
    assert storage.presign("a.mp4", 600, "HEAD") == signer.signed_url("https://cdn.example.com/a.mp4", 600)
    assert storage.presign_many(["a.mp4"], 600) == [storage.presign("a.mp4", 600)]
    query = "response-content-disposition=attachment%3B%20filename%3D%22b.mp4%22&response-content-type=video%2Fmp4"
    named = storage.presign("a.mp4", 600, filename="b.mp4", content_type="video/mp4")
    assert named == signer.signed_url(f"https://cdn.example.com/a.mp4?{query}", 600)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_changes_are_presigned_for_the_bucket(storage, method):
    assert storage.presign("a.mp4", 600, method).startswith("https://films.s3.eu-central-1.amazonaws.com/a.mp4?X-Amz-")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_many_changes_are_presigned_with_credentials_that_are_looked_for(signer, monkeypatch, method):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    storage = S3Storage("films", custom_domain="cdn.example.com", cloudfront=signer)
    keys = [f"{number}.mp4" for number in range(20)]
    made = await storage.presigned_urls(keys, 600, method)
    assert made == [storage.presign(key, 600, method) for key in keys]


async def test_many_urls_are_signed_in_a_thread(storage):
    keys = [f"{number}.mp4" for number in range(20)]
    assert await storage.presigned_urls(keys, 600) == storage.presign_many(keys, 600)
    window = {"stable": timedelta(hours=1)}
    assert await storage.presigned_urls(keys, 600, **window) == storage.presign_many(keys, 600, **window)
    assert await storage.file("1.mp4").get_presigned_url(600) == storage.presign("1.mp4", 600)


@pytest.mark.parametrize("querystring_auth", [True, False])
async def test_url_is_signed_where_urls_are(signer, querystring_auth):
    options = {"custom_domain": "cdn.example.com", "cloudfront": signer, "querystring_auth": querystring_auth}
    storage = S3Storage("films", **options, **CREDENTIALS)
    plain = "https://cdn.example.com/a.mp4"
    assert await storage.url("a.mp4") == (signer.signed_url(plain) if querystring_auth else plain)


def test_cookies_for_a_folder(storage, signer):
    assert storage.signed_cookies("films/", 600) == signer.signed_cookies("https://cdn.example.com/films/*", 600)
    assert storage.within("a b").signed_cookies() == signer.signed_cookies("https://cdn.example.com/a%20b/*")


def test_a_folder_keeps_the_signer_and_another_bucket_does_not(storage):
    assert storage.within("a").presign("b.mp4").startswith("https://cdn.example.com/a/b.mp4?Expires=")
    assert "X-Amz-Signature" in storage.with_bucket("others").presign("b.mp4")
    with pytest.raises(InvalidArgumentException, match="custom_domain"):
        storage.with_bucket("others").signed_cookies()


def test_a_signer_without_a_domain_is_refused(signer):
    with pytest.raises(InvalidArgumentException, match="custom_domain"):
        S3Storage("films", cloudfront=signer, **CREDENTIALS)


def test_nothing_shows_the_key(storage, signer):
    assert repr(signer) == "CloudFrontSigner('K2JCJMDEHXQW5F')"
    assert "PRIVATE" not in repr(vars(signer)) + repr(vars(storage))
