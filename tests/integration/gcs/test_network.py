"""The way to Google: through proxies, and to servers whose certificates a private authority has signed."""

from urllib.parse import urlsplit

import pytest

from async_storages import (
    AccessDeniedException,
    GCSConfig,
    GCSStorage,
    InsecureConnectionWarning,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.backends.gcs.credentials.google import credentials_from
from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.network import Network
from async_storages.backends.transport.retries import Retries
from tests.support.gcs_accounts import service_account
from tests.support.http_proxy import http_proxy
from tests.support.s3 import FAST
from tests.support.scripted import reply, scripted
from tests.support.tls import tls_in_front_of


@pytest.fixture
async def tls(gcs_server, trusted):
    async with tls_in_front_of(gcs_server.endpoint_url, trusted.server) as server:
        yield server


async def works(bucket, url, **options):
    async with GCSStorage(bucket, endpoint_url=url, anonymous=True, **options) as storage:
        key = await storage.upload(b"x" * 1_000_000, "a.txt")
        assert len(await storage.read(key)) == 1_000_000


async def test_proxies_are_asked(gcs_server, gcs_bucket, tls, trusted, monkeypatch):
    async with http_proxy() as proxy:
        await works(gcs_bucket, gcs_server.endpoint_url, proxy=proxy.url)
        assert {method for method, _ in proxy.asked} <= {"GET", "POST"}
        await works(gcs_bucket, tls.url, proxy=proxy.url, ca_bundle=trusted.authority)
        assert proxy.asked[-1] == ("CONNECT", urlsplit(tls.url).netloc)
        count = len(proxy.asked)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        await works(gcs_bucket, tls.url, ca_bundle=trusted.authority)
        assert len(proxy.asked) > count


async def test_certificates_are_looked_at(gcs_bucket, tls, trusted, monkeypatch):
    with pytest.raises(StorageOperationException, match=r"is not trusted .* ca_bundle=") as caught:
        await works(gcs_bucket, tls.url, options=FAST)
    assert not isinstance(caught.value, StorageUnavailableException)
    with pytest.warns(InsecureConnectionWarning):
        await works(gcs_bucket, tls.url, verify=False)
    config = GCSConfig(default_bucket=gcs_bucket, endpoint=tls.url, anonymous=True, ca_bundle=trusted.authority)
    async with GCSStorage.from_config(config) as storage:
        await storage.upload(b"hello", "b.txt")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.authority))
    await works(gcs_bucket, tls.url)


# ---- tokens


def oauth(asked):
    return reply(200, b'{"access_token": "t", "expires_in": 3600}', Content_Type="application/json")


@pytest.fixture
async def google(trusted):
    """A server of tokens, over TLS."""
    async with scripted(oauth) as server, tls_in_front_of(server.url, trusted.server) as front:
        yield front


async def token(google, **options):
    made = credentials_from(
        None,
        service_account(token_uri=f"{google.url}/token"),
        retries=Retries(attempts=2, base=0),
        network=Network(HttpOptions(**options)),
    )
    try:
        return await made.token()
    finally:
        await made.aclose()


async def test_tokens_come_by_the_same_way(google, trusted):
    async with http_proxy() as proxy:
        assert await token(google, proxy=proxy.url, ca_bundle=trusted.authority) == "t"
    assert proxy.asked == [("CONNECT", urlsplit(google.url).netloc)]


async def test_a_server_of_tokens_that_is_not_trusted_is_asked_once(google):
    with pytest.raises(StorageOperationException, match=r"is not trusted .* ca_bundle=") as caught:
        await token(google)
    assert not isinstance(caught.value, StorageUnavailableException)


async def test_a_proxy_that_wants_a_password_is_not_taken_for_google(google, trusted):
    async with http_proxy(password="ada:secret") as proxy:
        with pytest.raises(AccessDeniedException, match="the proxy demands a user and password"):
            await token(google, proxy=proxy.url, ca_bundle=trusted.authority)
    assert len(proxy.asked) == 1
