"""Presign and direct upload: URLs and forms work without credentials, and only for their purpose.

The tests use each URL and form over HTTP. To make expired ones, they set `time.time` back while the storage makes the
URL. So a storage must take the time from this function.

If a storage chooses its ids, its tokens may hold nothing but a file and an end. It then raises
OperationNotSupportedException for any other option, and its server chooses the type.
"""

import re
import string
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import pytest

from async_storages.errors import InvalidArgumentException, OperationNotSupportedException
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsDirectUpload, SupportsPresign
from async_storages.testing.contract.base import ContractGroup, exact_keys, fingerprint, missing, needs
from async_storages.testing.contract.http import form, request
from async_storages.testing.contract.names import KEYS
from async_storages.testing.contract.sources import CONTENT

__all__ = ["DirectUploadContract", "PresignContract"]

_HOUR = 3600
_WEEK = 604_800


class PresignContract(ContractGroup):
    """`SupportsPresign`."""

    @pytest.mark.parametrize("key", [pytest.param(key, id=label) for label, key in KEYS.items()])
    @needs(SupportsPresign)
    async def test_presign_get(self, storage: Any, key: str) -> None:
        """Every holder of the URL gets the file, with any key."""
        name = await storage.upload(key.encode(), key, content_type="text/x-mine")
        for url in (storage.presign(name), await storage.file(name).get_presigned_url(), *storage.presign_many([name])):
            answer = await request("GET", url)
            assert (answer.status, answer.body) == (200, key.encode())
            assert storage.chooses_ids or answer.headers["Content-Type"] == "text/x-mine"

    @needs(SupportsPresign)
    async def test_presign_many_in_order(self, storage: Any) -> None:
        """URLs have the order of the names, missing files included."""
        keys = [await missing(storage, name) for name in ("3.txt", "1.txt", "2.txt")]
        urls = storage.presign_many(keys)
        for url, key in zip(urls, keys, strict=True):
            assert unquote(urlsplit(url).path).endswith(f"/{key}")
        assert (await request("GET", urls[2])).status == 404

    @needs(SupportsPresign)
    async def test_presign_head(self, storage: Any) -> None:
        """A HEAD returns the size, and has no body."""
        key = await storage.upload(CONTENT, "file.bin")
        with _where_possible(storage):
            answer = await request("HEAD", storage.presign(key, method="HEAD"))
            assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, str(len(CONTENT)), b"")

    @needs(SupportsPresign)
    @exact_keys
    async def test_presign_put(self, storage: Any) -> None:
        """A PUT stores the body with the signed size and type."""
        asked = {"content_type": "text/x-mine", "content_length": len(CONTENT)}
        url, headers = storage.presign("folder/合同.txt", method="PUT", **asked), storage.presigned_headers(**asked)
        assert (await request("PUT", url, CONTENT, headers=headers)).status in {200, 201, 204}
        assert fingerprint(await storage.read("folder/合同.txt")) == fingerprint(CONTENT)
        assert (await storage.stat("folder/合同.txt")).content_type == "text/x-mine"

    @pytest.mark.parametrize("body", [b"123456", b"1234", b""], ids=["larger", "smaller", "empty"])
    @needs(SupportsPresign)
    @exact_keys
    async def test_presign_put_of_another_size(self, storage: Any, body: bytes) -> None:
        """A PUT of another size is refused, and stores nothing."""
        headers = storage.presigned_headers(content_length=5)
        url = storage.presign("file.txt", method="PUT", content_length=5)
        await self._refuses_put(storage, url, body, headers=headers)

    @needs(SupportsPresign)
    @exact_keys
    async def test_presign_put_of_size_zero(self, storage: Any) -> None:
        """Zero is a size, too."""
        url = storage.presign("file.txt", method="PUT", content_length=0)
        headers = storage.presigned_headers(content_length=0)
        await self._refuses_put(storage, url, b"1", headers=headers)
        assert (await request("PUT", url, b"", headers=headers)).status in {200, 201, 204}
        assert await storage.get_size("file.txt") == 0

    @needs(SupportsPresign)
    @exact_keys
    async def test_presign_put_of_another_type(self, storage: Any) -> None:
        """A PUT of another type is refused, and stores nothing."""
        url = storage.presign("file.txt", method="PUT", content_type="image/png")
        await self._refuses_put(storage, url, b"12345", headers={"Content-Type": "text/html"})

    @needs(SupportsPresign)
    async def test_presign_delete(self, storage: Any) -> None:
        """A DELETE deletes the file."""
        key = await storage.upload(b"content", "file.txt")
        with _where_possible(storage):
            assert (await request("DELETE", storage.presign(key, method="DELETE"))).status in {200, 202, 204}
            assert not await storage.exists(key)

    @needs(SupportsPresign)
    async def test_presign_download_name(self, storage: Any) -> None:
        """The download has the requested name, in any script. A name alone makes the download an attachment."""
        key = await storage.upload(b"content", "file.txt")
        for options, kind in (({}, "attachment"), ({"disposition": "inline"}, "inline")):
            with _where_possible(storage):
                answer = await request("GET", storage.presign(key, filename='Söhne "合同" 1%.pdf', **options))
                said = answer.headers["Content-Disposition"]
                assert said.partition(";")[0] == kind
                named = re.search(r"filename\*=UTF-8''([^;]+)", said)
                assert named
                assert unquote(named[1]) == "Söhne _合同_ 1%.pdf"

    @needs(SupportsPresign)
    async def test_presign_answer_type(self, storage: Any) -> None:
        """The answer has the requested type."""
        key = await storage.upload(b"content", "file.txt")
        with _where_possible(storage):
            answer = await request("GET", storage.presign(key, content_type="application/x-mine"))
            assert answer.headers["Content-Type"] == "application/x-mine"

    @needs(SupportsPresign)
    async def test_presign_expired(self, storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A URL expires at its end."""
        key = await storage.upload(b"content", "file.txt")
        with monkeypatch.context() as earlier:
            _set_back(earlier, 2 * _HOUR)
            expired = storage.presign(key, expires_in=_HOUR)
            still_good = storage.presign(key, expires_in=3 * _HOUR)
        assert (await request("GET", expired)).is_refusal
        assert (await request("GET", still_good)).body == b"content"

    @needs(SupportsPresign)
    async def test_presign_stable(self, storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """URLs made within one window of time are equal, and last at least as long as requested."""
        key = await storage.upload(b"content", "file.txt")
        window, begun = timedelta(minutes=10), time.time() // 600 * 600

        def made(seconds: float, **options: Any) -> list[str]:
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda: begun + seconds)
                return [storage.presign(key, stable=window, **options), *storage.presign_many([key], stable=window)]

        first, same, later = made(0.5), made(599), made(601)
        assert first == same
        assert not {*first} & {*later}
        assert (await request("GET", first[0])).body == b"content"
        async_made = await storage.file(key).get_presigned_url(stable=window)
        assert (await request("GET", async_made)).body == b"content"
        # made at the end of a window, and nearly over
        assert (await request("GET", made(-2 * _HOUR - 1, expires_in=3 * _HOUR)[0])).body == b"content"
        assert (await request("GET", made(-2 * _HOUR - 1, expires_in=_HOUR)[0])).is_refusal

    @needs(SupportsPresign)
    async def test_presign_tampered(self, storage: Any) -> None:
        """A URL with any change is refused."""
        key = await storage.upload(b"content", "file.txt")
        url = urlsplit(storage.presign(key))
        query = parse_qsl(url.query, keep_blank_values=True)
        assert query
        for n, (name, value) in enumerate(query):
            for changed in ([], *([(name, altered)] for altered in _alterations(value))):
                altered = url._replace(query=urlencode([*query[:n], *changed, *query[n + 1 :]]))
                answer = await request("GET", urlunsplit(altered))
                assert answer.is_refusal, f"{name} was changed or left out, and nobody minded"
                assert b"content" not in answer.body

    @needs(SupportsPresign)
    async def test_presign_of_another_key(self, storage: Any) -> None:
        """A URL is valid for no other file, not even if the other name begins in the same way."""
        key, *others = [await storage.upload(name.encode(), name) for name in ("file.txt", "file.txt.bak", "file2.txt")]
        url = urlsplit(storage.presign(key))
        for other in others:
            moved = url._replace(path=url.path.replace(key, other))
            assert moved != url
            assert (await request("GET", urlunsplit(moved))).is_refusal

    @needs(SupportsPresign)
    async def test_presign_for_another_method(self, storage: Any) -> None:
        """A URL for reading neither writes nor deletes. A URL for writing does not read."""
        key = await storage.upload(b"content", "file.txt")
        async with self.unchanged(storage, key):
            assert (await request("PUT", storage.presign(key), b"new")).is_refusal
            assert (await request("DELETE", storage.presign(key))).is_refusal
            for method in ("PUT", "DELETE", "HEAD"):
                with _where_possible(storage):
                    assert (await request("GET", storage.presign(key, method=method))).is_refusal

    @pytest.mark.parametrize(
        "options",
        [
            {"expires_in": 0},
            {"expires_in": -1},
            {"expires_in": _WEEK + 1},
            {"expires_in": float("nan")},
            {"method": "PATCH"},
            {"disposition": "anywhere"},
            {"method": "PUT", "content_length": -1},
            {"content_type": "text/html\r\nSet-Cookie: owned=1"},
            {"stable": timedelta(0)},
            {"stable": timedelta(days=7)},
            {"stable": 600},
        ],
        ids=lambda options: " ".join(f"{value!r}" for value in options.values()),
    )
    @needs(SupportsPresign)
    async def test_presign_what_cannot_be(self, storage: Any, options: dict[str, Any]) -> None:
        """Impossible options are refused when the URL is made."""
        key = await missing(storage)
        refusals = (InvalidArgumentException, *([OperationNotSupportedException] if storage.chooses_ids else []))
        with pytest.raises(refusals):
            storage.presign(key, **options)

    async def _refuses_put(self, storage: Any, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        async with self.unchanged(storage, "file.txt"):
            assert (await request("PUT", url, body, headers=headers)).is_refusal


class DirectUploadContract(ContractGroup):
    """`SupportsDirectUpload`."""

    @needs(SupportsDirectUpload)
    async def test_direct_upload(self, storage: Any) -> None:
        """A form stores its file, under the signed key and type."""
        made = await storage.presign_post("folder/合同.bin", max_size=len(CONTENT), content_type="text/x-mine")
        assert made.file_id == str(storage.identify("folder/合同.bin"))
        body, content_type = form(made.fields, CONTENT)
        assert (await request("POST", made.url, body, content_type=content_type)).status in {200, 201, 204}
        assert fingerprint(await storage.read(made.file_id)) == fingerprint(CONTENT)
        assert (await storage.stat(made.file_id)).content_type == "text/x-mine"

    @pytest.mark.parametrize(
        ("limits", "body"),
        [
            ({"max_size": 4}, b"12345"),
            ({"max_size": 0}, b"1"),
            ({"max_size": 10, "min_size": 6}, b"12345"),
            ({"max_size": 10, "min_size": 1}, b""),
        ],
        ids=["larger", "larger than nothing", "smaller", "empty"],
    )
    @needs(SupportsDirectUpload)
    async def test_direct_upload_of_another_size(self, storage: Any, limits: dict[str, int], body: bytes) -> None:
        """A file outside the signed sizes is refused, and not stored."""
        await self._refuses_form(storage, (await storage.presign_post("file.txt", **limits)), body)

    @needs(SupportsDirectUpload)
    async def test_direct_upload_of_another_type(self, storage: Any) -> None:
        """A file of another type is refused, and not stored."""
        made = await storage.presign_post("file.png", max_size=100, content_type="image/png")
        for wrong in ({"Content-Type": "text/html"}, {}):
            fields = {name: value for name, value in made.fields.items() if name.lower() != "content-type"} | wrong
            await self._refuses_form(storage, made.model_copy(update={"fields": fields}))

    @needs(SupportsDirectUpload)
    async def test_direct_upload_tampered(self, storage: Any) -> None:
        """A form with any field changed or left out is refused."""
        made = await storage.presign_post("file.txt", max_size=100, content_type="text/plain")
        for name, value in made.fields.items():
            others = {other: made.fields[other] for other in made.fields if other != name}
            for fields in (others, *(others | {name: altered} for altered in _alterations(value))):
                await self._refuses_form(storage, made.model_copy(update={"fields": fields}))

    @needs(SupportsDirectUpload)
    async def test_direct_upload_expired(self, storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A form expires at its end, and states its end."""
        with monkeypatch.context() as earlier:
            _set_back(earlier, 2 * _HOUR)
            made = await storage.presign_post("file.txt", _HOUR, max_size=100)
        assert made.expires_at.timestamp() == pytest.approx(time.time() - _HOUR, abs=60)
        await self._refuses_form(storage, made)

    @needs(SupportsDirectUpload)
    async def test_direct_upload_shows_no_secret(self, storage: Any) -> None:
        """The parts of a form that logs show are not enough to make a form."""
        made = await storage.presign_post("file.txt", max_size=100)
        assert not [value for value in made.fields.values() if len(value) > 20 and value in repr(made)]

    @pytest.mark.parametrize(
        "options",
        [
            {"expires_in": 0},
            {"expires_in": _WEEK + 1},
            {"max_size": -1},
            {"max_size": 1, "min_size": 2},
            {"content_type": "text/html\r\nSet-Cookie: owned=1"},
        ],
        ids=lambda options: " ".join(f"{value!r}" for value in options.values()),
    )
    @needs(SupportsDirectUpload)
    async def test_direct_upload_that_cannot_be(self, storage: Any, options: dict[str, Any]) -> None:
        """Impossible options are refused when the form is made."""
        with pytest.raises(InvalidArgumentException):
            await storage.presign_post("file.txt", **options)

    async def _refuses_form(self, storage: Any, made: Any, content: bytes = b"12345") -> None:
        body, content_type = form(made.fields, content)
        async with self.unchanged(storage, storage.identify(made.file_id).key):
            answer = await request("POST", made.url, body, content_type=content_type)
            assert answer.is_refusal


@contextmanager
def _where_possible(storage: Storage) -> Iterator[None]:
    """Run the block. If the storage chooses ids, it must refuse options that a token cannot hold, not drop them."""
    try:
        yield
    except OperationNotSupportedException:
        if not storage.chooses_ids:
            raise


def _alterations(value: str) -> Iterator[str]:
    """Yield the value with one character changed, in several places. Not at the end, where base64 has unused bits."""
    for place in {0, len(value) // 4, len(value) // 2, len(value) * 3 // 4, max(0, len(value) - 4)}:
        letters = string.digits if value[place : place + 1].isdigit() else string.ascii_letters
        letter = next(letter for letter in letters if letter != value[place : place + 1])
        yield value[:place] + letter + value[place + 1 :]


def _set_back(patch: pytest.MonkeyPatch, seconds: float) -> None:
    earlier = time.time() - seconds
    patch.setattr(time, "time", lambda: earlier)
