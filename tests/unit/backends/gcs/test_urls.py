"""Presigned URLs and forms of a bucket, judged as Google's servers do; signed here, and by IAM."""

import asyncio
import time
from contextlib import nullcontext
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from async_storages.backends.gcs.credentials.google import credentials_from
from async_storages.backends.gcs.urls import GCSUrls, put_headers
from async_storages.backends.transport.retries import Retries
from async_storages.errors import InvalidArgumentException, OperationNotSupportedException
from async_storages.ids import FileId
from tests.support.gcs_accounts import public_keys, service_account
from tests.support.gcs_signatures import Refused, verify_form, verify_url
from tests.support.google_servers import google_servers

BUCKET_URL = "http://localhost:4443/photos"
KEYS = ["a.jpg", "a b/合同 1%.txt", "?x=1#f", "%41+&=", "~'\"é", "folder/x"]


def file(key="a.jpg"):
    return FileId("gs", "photos", key)


@pytest.fixture(params=["key", "IAM"])
async def credentials(request):
    """Those of an account whose key is at hand, and of the machine's, which has none."""
    async with google_servers() as google:
        made = credentials_from(None, google.account if request.param == "key" else None, retries=Retries(base=0))
        yield made
        await made.aclose()


@pytest.fixture
async def prepared():
    made = credentials_from(None, service_account())
    await made.prepare()
    return GCSUrls("photos", BUCKET_URL, made)


def judge(url, method="GET", headers=()):
    parts = urlsplit(url)
    verify_url(method, parts.path, parts.query, [("Host", parts.netloc), *dict(headers).items()], keys=public_keys())


def answer_to(url):
    """What a presigned URL makes of the answer."""
    return {name: values for name, values in parse_qs(urlsplit(url).query).items() if name.startswith("response-")}


async def test_urls_are_good_for_their_files_in_order(credentials):
    made = await GCSUrls("photos", BUCKET_URL, credentials).presigned_urls(map(file, KEYS))
    for url, key in zip(made, KEYS, strict=True):
        judge(url)
        assert unquote(urlsplit(url).path) == f"/photos/{key}"


async def test_what_iam_signs_is_promised_for_half_a_day_at_the_most(credentials):
    """IAM changes its keys when it likes, 12 hours after it signed with them."""
    urls = GCSUrls("photos", BUCKET_URL, credentials)
    await urls.presigned_urls([file()], 43_200)
    for ask in (lambda: urls.presigned_urls([file()], 43_201), lambda: urls.presign_post(file(), 604_800)):
        with nullcontext() if credentials.signer else pytest.raises(InvalidArgumentException, match="key of a service"):
            await ask()


async def test_a_form_is_good_for_its_file(credentials):
    form = await GCSUrls("photos", BUCKET_URL, credentials).presign_post(
        file("a b.jpg"), 60, min_size=1, max_size=9, content_type="image/png"
    )
    assert (form.file_id, form.url) == ("gs:photos/a b.jpg", f"{BUCKET_URL}/")
    verify_form("photos", form.fields.items(), 9, keys=public_keys())
    for size, changes in [(10, {}), (0, {}), (9, {"Content-Type": "text/html"}), (9, {"key": "b.jpg"})]:
        with pytest.raises(Refused):
            verify_form("photos", {**form.fields, **changes}.items(), size, keys=public_keys())


async def test_an_upload_keeps_to_its_type_and_size(credentials):
    options = {"content_type": "image/png", "content_length": 5}
    [url] = await GCSUrls("photos", BUCKET_URL, credentials).presigned_urls([file()], 60, "PUT", **options)
    headers = put_headers(**options)
    judge(url, "PUT", {**headers, "Content-Length": "5"})
    for wrong in ({"Content-Length": "6"}, {"Content-Length": "4"}, {"Content-Type": "text/html"}):
        with pytest.raises(Refused):
            judge(url, "PUT", {**headers, "Content-Length": "5", **wrong})


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, {}),
        ({"content_type": "text/plain"}, {"response-content-type": ["text/plain"]}),
        ({"disposition": "inline"}, {"response-content-disposition": ['inline; filename="a.jpg"']}),
        ({"filename": "b c.jpg"}, {"response-content-disposition": ['attachment; filename="b c.jpg"']}),
    ],
    ids=str,
)
def test_downloads_have_the_name_and_type_asked_for(prepared, options, answer):
    url = prepared.presign(file("f/0123456789abcdef_a.jpg"), **options)
    judge(url)
    assert answer_to(url) == answer


async def test_the_synchronous_way_makes_the_same(prepared, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    files = [file(key) for key in KEYS]
    assert prepared.presign_many(files) == await prepared.presigned_urls(files) == [*map(prepared.presign, files)]


async def test_many_at_once_ask_iam_for_few_at_a_time():
    """Some keyless accounts sign thousands; Google allows some hundreds of requests a second."""
    running = most = 0

    class Slow:
        signer = None
        email = "a@b"

        async def prepare(self):
            pass

        async def remote_signer(self):
            return self

        async def sign(self, message):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return b"\1"

    made = await GCSUrls("photos", BUCKET_URL, Slow()).presigned_urls(file(str(n)) for n in range(100))
    assert len(made) == 100
    assert 1 < most <= 16


def test_a_domain_bound_to_the_bucket_has_no_bucket_in_its_paths(prepared):
    urls = GCSUrls("photos", "https://photos.example.com/", prepared._credentials)
    assert urls.url(file("a b?.jpg")) == "https://photos.example.com/a%20b%3F.jpg"
    judge(urls.presign(file("a b?.jpg")))


async def test_without_a_key_at_hand_the_error_names_the_other_way(credentials):
    urls = GCSUrls("photos", BUCKET_URL, credentials)
    with pytest.raises(InvalidArgumentException, match=r"await storage\.presigned_urls"):
        urls.presign(file())
    with pytest.raises(InvalidArgumentException, match=r"await storage\.prepare"):
        urls.presign_many([file()])


async def test_without_an_account_nothing_is_signed():
    with pytest.raises(OperationNotSupportedException, match="service_file"):
        await GCSUrls("photos", BUCKET_URL, credentials_from(anonymous=True)).presign_post(file())


@pytest.mark.parametrize(
    "options",
    [
        {"expires_in": 0},
        {"expires_in": 604_801},
        {"method": "PUT", "content_length": -1},
        {"content_type": "text/html\r\nX: y"},
        {"disposition": "anywhere"},
    ],
    ids=str,
)
def test_what_cannot_be(prepared, options):
    with pytest.raises(InvalidArgumentException):
        prepared.presign(file(), **options)


@pytest.mark.parametrize("options", [{"min_size": 2, "max_size": 1}, {"min_size": -1}, {"expires_in": 0}], ids=str)
async def test_forms_that_cannot_be(prepared, options):
    with pytest.raises(InvalidArgumentException):
        await prepared.presign_post(file(), **options)
