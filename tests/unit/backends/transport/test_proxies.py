"""Which proxy is taken, as curl, requests and botocore take it."""

import pytest

from async_storages.backends.transport.proxies import Proxies
from async_storages.errors import InvalidArgumentException

S3, LOCAL = "https://photos.s3.amazonaws.com/a", "http://minio:9000/a"
PROXY = "http://proxy:3128"


def taken(url, proxy=None, **environment):
    return Proxies.of(proxy, environment).for_url(url)


def test_none_is_taken_where_none_is_said():
    assert taken(S3) is taken(LOCAL) is None


def test_the_environment_says_one_for_each_scheme():
    said = {"HTTPS_PROXY": "http://a:1", "HTTP_PROXY": "http://b:2"}
    assert (taken(S3, **said), taken(LOCAL, **said)) == ("http://a:1", "http://b:2")


def test_lower_case_goes_first_also_where_it_is_empty():
    assert taken(S3, HTTPS_PROXY="http://a:1", https_proxy="http://b:2") == "http://b:2"
    assert taken(S3, HTTPS_PROXY="http://a:1", https_proxy="") is None


def test_what_is_given_goes_before_the_environment():
    assert taken(S3, PROXY, HTTPS_PROXY="http://a:1", NO_PROXY="*") == PROXY
    assert taken(S3, "", HTTPS_PROXY="http://a:1") is None


def test_a_client_of_a_cgi_script_names_no_proxy():
    assert taken(LOCAL, HTTP_PROXY=PROXY, REQUEST_METHOD="GET") is None
    assert taken(LOCAL, http_proxy=PROXY, REQUEST_METHOD="GET") == PROXY


@pytest.mark.parametrize(
    "no_proxy",
    [
        *("*", "minio", "MINIO", ".minio", "*.minio", "minio.", "a, minio ,b", "a minio", "minio:9000", "x,*"),
    ],
)
def test_a_host_is_asked_directly(no_proxy):
    assert taken("http://minio:9000/a", HTTP_PROXY=PROXY, NO_PROXY=no_proxy) is None
    assert taken("http://minio:9000/a", HTTP_PROXY=PROXY, no_proxy=no_proxy) is None


@pytest.mark.parametrize("no_proxy", ["", ",", "mini", "nio", "minio:9001", "x.minio", "10.0.0.0/8", ".", "*."])
def test_a_host_is_not_asked_directly(no_proxy):
    assert taken("http://minio:9000/a", HTTP_PROXY=PROXY, NO_PROXY=no_proxy) == PROXY


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://photos.s3.amazonaws.com/a", "amazonaws.com"),
        ("https://photos.s3.amazonaws.com/a", ".amazonaws.com:443"),
        ("https://10.1.2.3:9000/a", "10.0.0.0/8"),
        ("https://10.1.2.3/a", "10.1.2.3"),
        ("https://[fd00::1]:9000/a", "fd00::/8"),
        ("https://[fd00::1]:9000/a", "fd00::1"),
        ("https://[fd00::1]:9000/a", "[fd00::1]:9000"),
        ("http://169.254.169.254/latest", "unrelated"),
        ("http://metadata.google.internal/computeMetadata/v1", "unrelated"),
    ],
)
def test_domains_networks_and_the_machines_own_servers(url, no_proxy):
    assert taken(url, HTTPS_PROXY=PROXY, HTTP_PROXY=PROXY, NO_PROXY=no_proxy) is None


def test_no_password_is_shown():
    assert "hidden" not in repr(Proxies.of("http://ada:hidden@proxy:3128", {}))


def test_a_scheme_need_not_be_said():
    assert taken(S3, "proxy:3128") == "http://proxy:3128"
    assert taken(S3, HTTPS_PROXY="user:pass@proxy:3128") == "http://user:pass@proxy:3128"


@pytest.mark.parametrize(
    "wrong", ["socks5://user:hidden@proxy:1080", "http://", "http://hidden@", "http://proxy:hidden", "http://p/hidden"]
)
def test_what_is_no_proxy_is_refused_without_its_password(wrong):
    for proxy, environment in ((wrong, {}), (None, {"HTTPS_PROXY": wrong})):
        with pytest.raises(InvalidArgumentException, match=r"proxy|HTTPS_PROXY") as caught:
            Proxies.of(proxy, environment)
        assert "hidden" not in f"{caught.value!r} {caught.value.__cause__!r}"
