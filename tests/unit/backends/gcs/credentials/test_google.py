"""Access tokens and signers, from servers on 127.0.0.1 that check what they are sent as Google's do."""

import asyncio
import json
import pickle
import time
from importlib.metadata import version

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from async_storages.backends.gcs.credentials.google import credentials_from
from async_storages.backends.transport.retries import Retries
from async_storages.errors import (
    AccessDeniedException,
    InvalidArgumentException,
    OperationNotSupportedException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.testing.contract.cancellation import every_cancellation
from tests.support.gcs_accounts import EMAIL, private_key, service_account
from tests.support.google_servers import google_servers

AUTH = tuple(map(int, version("gcloud-aio-auth").split(".")[:2]))

AT_ONCE = Retries(base=0)


@pytest.fixture
async def google():
    async with google_servers() as servers:
        yield servers


@pytest.fixture
async def make(google):
    """Credentials that are closed after the test."""
    made = []

    def make(*given, **options):
        made.append(credentials_from(*given, retries=AT_ONCE, **options))
        return made[-1]

    yield make
    for credentials in made:
        await credentials.aclose()


def user(google):
    """What ``gcloud auth application-default login`` writes."""
    return {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "token_uri": f"{google.url}/token",
    }


def impersonation(google):
    """What it writes with ``--impersonate-service-account``."""
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": f"{google.url}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken",
        "source_credentials": user(google),
        "token_uri": f"{google.url}/token",
    }


# ---- where they come from


@pytest.mark.parametrize("given", ["info", "file", "environment", "gcloud", "machine"])
async def test_a_token_of_each_kind_of_credentials(google, make, tmp_path, monkeypatch, given):
    path = tmp_path / "application_default_credentials.json"
    path.write_text(json.dumps(google.account))
    if given == "environment":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    if given == "gcloud":
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))

    credentials = {"info": lambda: make(None, google.account), "file": lambda: make(path)}.get(given, make)()

    assert await credentials.token() == "token 1"
    assert google.scopes == ([] if given == "machine" else ["https://www.googleapis.com/auth/devstorage.full_control"])


@pytest.mark.skipif(AUTH < (5, 5), reason="gcloud-aio-auth knows workload identities from 5.5 on")
async def test_a_workload_identity_is_told_by_its_file(google, make, tmp_path):
    (tmp_path / "token").write_text("i am pod 7\n")
    identity = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{google.url}/token",
        "credential_source": {"file": str(tmp_path / "token")},
    }
    assert await make(None, identity).token() == "token 1"
    assert google.subjects == ["i am pod 7"]
    (tmp_path / "token").unlink()
    with pytest.raises(AccessDeniedException, match="No such file"):
        await make(None, identity).token()


async def test_anonymous_requests_have_no_token(make):
    credentials = make(anonymous=True)
    await credentials.prepare()
    assert await credentials.token() is None
    assert credentials.signer is None
    with pytest.raises(OperationNotSupportedException, match="service_file"):
        await credentials.remote_signer()


def test_there_is_one_account():
    with pytest.raises(InvalidArgumentException, match="one of"):
        credentials_from("key.json", service_account())
    with pytest.raises(InvalidArgumentException, match="one of"):
        credentials_from(None, service_account(), anonymous=True)


def pem_of_another_kind():
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


MALFORMED = {
    "no type": {"client_email": EMAIL},
    "empty": {},
    "a list": [1],
    "unknown type": {"type": "gdch_service_account"},
    "no key": {"type": "service_account", "client_email": EMAIL},
    "no e-mail": {"type": "service_account", "private_key": "x"},
    "key is garbage": service_account(private_key="-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"),
    "key is cut short": service_account(private_key=service_account()["private_key"][:400]),
    "key is of another kind": service_account(private_key=pem_of_another_kind()),
    "external without its fields": {"type": "external_account"},
    "not JSON": {**service_account(), "extra": object()},
}


@pytest.mark.parametrize("info", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_credentials_are_refused_and_not_shown(make, info):
    with pytest.raises(InvalidArgumentException) as refusal:
        await make(None, info).token()
    assert "secret" not in f"{refusal.value!r} {refusal.value} {refusal.value.__cause__}"


@pytest.mark.parametrize("given", ["file", "environment", "gcloud"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", "\udcff"], ids=ascii)
async def test_a_malformed_file_is_refused_and_not_taken_for_the_machines_account(
    google, make, tmp_path, monkeypatch, content, given
):
    path = tmp_path / "application_default_credentials.json"
    path.write_text(content, errors="surrogateescape")
    if given == "environment":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    if given == "gcloud":
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(InvalidArgumentException, match="no JSON object"):
        await make(*[path] if given == "file" else []).token()
    assert not google.asked


@pytest.mark.parametrize("given", [["none.json"], [""], []], ids=["file", "empty name", "environment"])
async def test_a_file_that_cannot_be_read_is_named_as_the_reason(google, make, monkeypatch, given):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
    with pytest.raises(AccessDeniedException, match=r"No such file|Is a directory"):
        await make(*given).token()
    assert not google.asked


# ---- tokens


async def test_a_token_is_asked_for_once_and_shared(google, make):
    credentials = make(None, google.account)
    assert set(await asyncio.gather(*(credentials.token() for _ in range(50)))) == {"token 1"}
    assert google.asked == ["token"]


async def test_a_token_is_renewed_before_its_end(google, make, monkeypatch):
    credentials = make(None, google.account)
    begin = time.time()
    await credentials.token()
    monkeypatch.setattr(time, "time", lambda: begin + google.lifetime - 300)
    assert await credentials.token() == "token 1"
    monkeypatch.setattr(time, "time", lambda: begin + google.lifetime - 200)
    assert await credentials.token() == "token 2"


async def test_a_token_that_was_refused_is_not_given_again_and_another_is_asked_for_once(google, make):
    credentials = make(None, google.account)
    refused = await credentials.token()
    assert set(await asyncio.gather(*(credentials.token(refused) for _ in range(50)))) == {"token 2"}
    assert await credentials.token(refused) == "token 2"
    google.failures = [(503, "")] * 4
    assert await credentials.token("token 2") == "token 2"  # there is no other
    assert google.asked == ["token"] * 6


async def test_a_token_is_used_to_its_end_while_it_cannot_be_renewed(google, make, monkeypatch):
    credentials = make(None, google.account)
    begin = time.time()
    await credentials.token()
    google.failures = [(503, "")] * 100
    monkeypatch.setattr(time, "time", lambda: begin + google.lifetime - 100)
    assert await credentials.token() == "token 1"
    monkeypatch.setattr(time, "time", lambda: begin + google.lifetime)
    with pytest.raises(StorageUnavailableException):
        await credentials.token()


@pytest.mark.parametrize("failure", [(500, ""), (503, "x" * 100_000), (429, "")], ids=lambda failure: str(failure[0]))
async def test_failures_that_may_pass_are_tried_again(google, make, failure):
    google.failures = [failure] * 3
    assert await make(None, google.account).token() == "token 4"


REFUSALS = {
    "OAuth": (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, "Invalid JWT Signature."),
    "OAuth, terse": (401, {"error": "unauthorized_client"}, "unauthorized_client"),
    "API": (403, {"error": {"code": 403, "message": "Permission denied", "status": "X"}}, "Permission denied"),
    "HTML": (404, "<html>no such account {", "no reason given"),
    "JSON, but strange": (400, [1], "no reason given"),
}


@pytest.mark.parametrize(
    ("status", "body", "reason"), [pytest.param(*case, id=label) for label, case in REFUSALS.items()]
)
async def test_a_refusal_is_told_at_once_with_its_reason(google, make, status, body, reason):
    google.failures = [(status, body)] * 10
    with pytest.raises(AccessDeniedException, match=reason) as refusal:
        await make(None, google.account).token()
    assert google.asked == ["token"]
    shown = "".join(map(repr, (refusal.value, refusal.value.__cause__)))
    assert "assertion" not in shown
    assert "Bearer" not in shown


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"access_token": "t", "expires_in": "soon"}', "<html>"], ids=ascii)
async def test_an_answer_without_a_token_is_an_error(google, make, body):
    google.failures = [(200, body)]
    with pytest.raises(StorageOperationException):
        await make(None, google.account).token()


async def test_a_server_that_is_not_there_is_an_error_that_may_pass(make):
    with pytest.raises(StorageUnavailableException, match="cannot be reached"):
        await make(None, service_account()).token()


async def test_without_any_credentials_the_error_says_what_was_tried(make, monkeypatch):
    monkeypatch.setattr("gcloud.aio.auth.token.GCE_ENDPOINT_TOKEN", "http://127.0.0.1:9/token")
    with pytest.raises(StorageUnavailableException, match="no credentials were given, so the machine"):
        await make().token()


async def test_who_gives_up_waiting_leaves_the_others_their_token(google, make):
    credentials = make(None, google.account)
    first, second = (asyncio.create_task(credentials.token()) for _ in range(2))
    await google.was_asked.wait()
    first.cancel()
    assert await second in {"token 1", "token 2"}
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_cancelled_anywhere_it_can_be_asked_again(google, make):
    made = []

    async def ask():
        made.append(make(None, google.account))
        await made[-1].token()

    async for _ in every_cancellation(ask):
        assert (await made[-1].token()).startswith("token")


def test_each_loop_asks_for_itself(unused_tcp_port):
    async def use():
        async with google_servers(unused_tcp_port):
            tokens.append(await credentials.token())

    tokens = []
    credentials = credentials_from(None, service_account(token_uri=f"http://127.0.0.1:{unused_tcp_port}/token"))
    asyncio.run(use())
    asyncio.run(use())  # the connections of the first were closed with it
    assert tokens == ["token 1", "token 1"]


# ---- signers


async def test_the_key_at_hand_signs_without_a_request(google, make):
    credentials = make(None, google.account)
    assert credentials.signer is None
    await credentials.prepare()
    signer = credentials.signer
    assert signer.email == EMAIL
    private_key().public_key().verify(signer.sign(b"message"), b"message", PKCS1v15(), SHA256())
    assert not google.asked


IMPERSONATES = pytest.mark.skipif(AUTH < (5, 6), reason="gcloud-aio-auth 5.5.0 does not sign so, 5.6.0 does")


@pytest.mark.parametrize("kind", ["machine", pytest.param("impersonation", marks=IMPERSONATES)])
async def test_without_a_key_iam_signs(google, make, kind):
    credentials = make() if kind == "machine" else make(None, impersonation(google))
    await credentials.prepare()
    assert credentials.signer is None
    signer = await credentials.remote_signer()
    assert signer.email == EMAIL
    private_key().public_key().verify(await signer.sign(b"\xff\xfe\xfb"), b"\xff\xfe\xfb", PKCS1v15(), SHA256())


async def test_a_person_cannot_sign(google, make):
    credentials = make(None, user(google))
    assert await credentials.token() == "token 1"
    with pytest.raises(OperationNotSupportedException, match="authorized_user"):
        await credentials.remote_signer()


async def test_an_account_that_may_not_sign_learns_which_permission_it_lacks(google, make):
    signer = await make().remote_signer()
    await signer.sign(b"message")
    google.failures = [(403, {"error": {"message": "Permission 'iam.serviceAccounts.signBlob' denied"}})]
    with pytest.raises(AccessDeniedException, match=r"iam\.serviceAccounts\.signBlob"):
        await signer.sign(b"message")


@pytest.mark.parametrize("body", ["{}", '{"signedBlob": "?"}', '{"signedBlob": 1}'])
async def test_an_answer_without_a_signature_is_an_error(google, make, body):
    signer = await make().remote_signer()
    await signer.sign(b"message")
    google.failures = [(200, body)]
    with pytest.raises(StorageException):
        await signer.sign(b"message")


async def test_no_secret_is_shown(google, make):
    credentials = make(None, google.account)
    await credentials.token()
    connection = await credentials._connection()
    shown = "".join(map(repr, (credentials, credentials.signer, connection, connection.token)))
    assert "token 1" not in shown
    assert "PRIVATE" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(credentials)
