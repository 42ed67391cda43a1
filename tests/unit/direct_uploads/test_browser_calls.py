"""Requests of browsers, read: what is malformed is refused before anything is asked of a storage."""

import pytest

from async_storages.direct_uploads.browser_api import NewUpload
from async_storages.direct_uploads.browser_calls import BrowserRequest
from async_storages.errors import FileTooLargeException, InvalidArgumentException


def request(*chunks, path=(), content_type="application/json; charset=utf-8", **query):
    async def body():
        for chunk in chunks:
            yield chunk

    return BrowserRequest(dict(path), query, content_type, body(), None)


async def test_a_body_is_read_in_pieces():
    wanted = await request(b'{"filename": "a', b'.png", "size": 5}').read(NewUpload)
    assert (wanted.filename, wanted.size, wanted.method) == ("a.png", 5, "POST")


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "a/b;, application/json"]
)
async def test_a_body_that_pages_of_other_sites_can_send_is_refused(content_type):
    with pytest.raises(InvalidArgumentException, match="application/json"):
        await request(b'{"filename": "a.png"}', content_type=content_type).read(NewUpload)


async def test_a_body_without_an_end_is_not_kept():
    with pytest.raises(FileTooLargeException):
        await request(*[bytes(1 << 20)] * 3).read(NewUpload)


async def test_a_refusal_does_not_repeat_the_body():
    with pytest.raises(InvalidArgumentException) as refused:
        await request(b'{"filename": 5, "key": "secret"}').read(NewUpload)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "1.5", "9" * 5000])
def test_a_number_that_no_part_has(number):
    with pytest.raises(InvalidArgumentException):
        assert request(path={"number": number}).number


def test_parameters_of_the_query():
    assert request(size="5").size == 5
    assert request().size is None
    assert request(key="k").key == "k"
    with pytest.raises(InvalidArgumentException, match="'key'"):
        assert request().key
