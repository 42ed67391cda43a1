"""The way to S3: through proxies, and to servers whose certificates a private authority has signed."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from async_storages import (
    AccessDeniedException,
    InsecureConnectionWarning,
    InvalidArgumentException,
    S3Config,
    S3Storage,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.backends.transport.http import HttpOptions
from tests.support.http_proxy import http_proxy
from tests.support.s3 import FAST
from tests.support.tls import certificates, tls_in_front_of


@pytest.fixture
async def tls(s3_server, trusted):
    """The server, over TLS."""
    async with tls_in_front_of(s3_server.endpoint_url, trusted.server) as server:
        yield server


async def works(storage):
    """A file goes there and comes back; larger than what one read takes."""
    key = await storage.upload(b"x" * 1_000_000, "a.txt")
    assert len(await storage.read(key)) == 1_000_000
    assert [found.file_name async for found in storage.list()] == ["a.txt"]
    await storage.delete(key)


# ---- proxies


async def test_a_given_proxy_is_asked_for_every_request(s3, s3_server):
    async with http_proxy() as proxy:
        await works(await s3(proxy=proxy.url))
    assert proxy.asked
    assert all(target.startswith(s3_server.endpoint_url) for _, target in proxy.asked)


async def test_tls_goes_through_a_tunnel(s3, tls, trusted):
    async with http_proxy() as proxy:
        await works(await s3(endpoint_url=tls.url, proxy=proxy.url, ca_bundle=trusted.authority))
    assert set(proxy.asked) == {("CONNECT", urlsplit(tls.url).netloc)}


async def test_a_proxy_may_be_asked_over_tls(s3, tls, trusted):
    async with http_proxy(context=trusted.server) as proxy:
        assert proxy.url.startswith("https:")
        await works(await s3(proxy=proxy.url, ca_bundle=trusted.authority))
    assert proxy.asked


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_environments_proxy_is_asked(s3, s3_server, tls, trusted, monkeypatch, scheme):
    async with http_proxy() as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.url)
        url = s3_server.endpoint_url if scheme == "http" else tls.url
        await works(await s3(endpoint_url=url, ca_bundle=trusted.authority))
        count = len(proxy.asked)
        assert count
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        await works(await s3(endpoint_url=url, ca_bundle=trusted.authority))
        monkeypatch.delenv("NO_PROXY")
        await works(await s3(endpoint_url=url, ca_bundle=trusted.authority, proxy=""))
    assert len(proxy.asked) == count


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password(s3, s3_server, tls, trusted, scheme):
    url = s3_server.endpoint_url if scheme == "http" else tls.url
    async with http_proxy(password="ada:hidden%21") as proxy:
        base = proxy.url.removeprefix("http://")
        await works(await s3(endpoint_url=url, proxy=f"http://ada:hidden%2521@{base}", ca_bundle=trusted.authority))
        proxy.asked.clear()
        storage = await s3(endpoint_url=url, proxy=f"http://ada:wrong@{base}", ca_bundle=trusted.authority)
        with pytest.raises(AccessDeniedException, match="the proxy demands a user and password") as caught:
            await storage.exists("a.txt")
        assert len(proxy.asked) == 1  # asked again it would say the same
        assert "wrong" not in f"{caught.value!r}{caught.value.__cause__!r}{storage!r}{storage._client.wire.options!r}"


async def test_a_proxy_that_lets_nothing_through_is_asked_again(s3, tls, trusted):
    async with http_proxy(says=503) as proxy:
        storage = await s3(endpoint_url=tls.url, proxy=proxy.url, ca_bundle=trusted.authority, options=FAST)
        with pytest.raises(StorageUnavailableException, match="the proxy let nothing through"):
            await storage.exists("a.txt")
    assert len(proxy.asked) == FAST.retries.attempts


async def test_a_proxy_that_is_not_there_is_named(s3, unused_tcp_port):
    storage = await s3(proxy=f"http://127.0.0.1:{unused_tcp_port}", options=FAST)
    with pytest.raises(StorageUnavailableException, match="the connection to the proxy failed"):
        await storage.exists("a.txt")


# ---- certificates


async def test_what_an_unknown_authority_signed_is_refused_once_with_the_remedy(s3, tls):
    storage = await s3(endpoint_url=tls.url, options=FAST)
    with pytest.raises(StorageOperationException, match=r"is not trusted \(.*\): name a file .* ca_bundle=") as caught:
        await storage.exists("a.txt")
    assert not isinstance(caught.value, StorageUnavailableException)
    assert tls.connections == 0  # no handshake succeeded
    with pytest.raises(StorageOperationException, match="ca_bundle="):
        await storage.upload(b"x" * 9_000_000, "a.txt")


@pytest.mark.parametrize("how", ["ca_bundle", "options", "config", "AWS_CA_BUNDLE", "SSL_CERT_FILE"])
async def test_an_authority_is_trusted_once_it_is_named(s3, s3_server, s3_bucket, tls, trusted, monkeypatch, how):
    if how.isupper():
        monkeypatch.setenv(how, str(trusted.authority))
        storage = await s3(endpoint_url=tls.url)
    elif how == "config":
        config = S3Config(
            endpoint=tls.url,
            access_key_id=s3_server.access_key_id,
            secret_access_key=s3_server.secret_access_key,
            default_bucket=s3_bucket,
            ca_bundle=trusted.authority,
        )
        storage = S3Storage.from_config(config)
    elif how == "options":
        storage = await s3(endpoint_url=tls.url, options=HttpOptions(ca_bundle=trusted.authority))
    else:
        storage = await s3(endpoint_url=tls.url, ca_bundle=trusted.authority)
    async with storage:
        await works(storage)


async def test_what_is_given_goes_before_the_environment(s3, tls, trusted, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates(tmp_path / "other").authority))
    await works(await s3(endpoint_url=tls.url, ca_bundle=trusted.authority))


async def test_without_a_look_at_certificates_it_works_with_a_warning(s3, tls):
    with pytest.warns(InsecureConnectionWarning, match="verify=False: the certificate of the storage is not checked"):
        storage = await s3(endpoint_url=tls.url, verify=False)
    await works(storage)


@pytest.mark.parametrize("bundle", ["missing.pem", "empty.pem"])
async def test_a_bundle_that_is_none_is_named(s3, tls, tmp_path, bundle):
    (tmp_path / "empty.pem").write_bytes(b"no certificate")
    storage = await s3(endpoint_url=tls.url, ca_bundle=tmp_path / bundle)
    with pytest.raises(InvalidArgumentException, match=rf"ca_bundle: the certificates of '.*{bundle}' cannot be read"):
        await storage.exists("a.txt")


DAY = timedelta(days=1)

WRONG = {
    "expired": ({"begins": -2 * DAY, "ends": -DAY}, "has expired"),
    "not yet": ({"begins": DAY, "ends": 2 * DAY}, "is not valid yet"),
    "another name": ({"host": "minio.example.com"}, "is for another name .* endpoint_url"),
}


@pytest.mark.parametrize(("made", "reason"), WRONG.values(), ids=WRONG)
async def test_other_faults_of_a_certificate_are_told(s3, s3_server, tmp_path, made, reason):
    wrong = certificates(tmp_path / "wrong", **made)
    async with tls_in_front_of(s3_server.endpoint_url, wrong.server) as server:
        storage = await s3(endpoint_url=server.url, ca_bundle=wrong.authority, options=FAST)
        with pytest.raises(StorageOperationException, match=reason):
            await storage.exists("a.txt")


async def test_a_server_without_tls_is_told(s3, s3_server):
    storage = await s3(endpoint_url=s3_server.endpoint_url.replace("http:", "https:"), options=FAST)
    with pytest.raises(StorageOperationException, match="does not speak TLS"):
        await storage.exists("a.txt")
