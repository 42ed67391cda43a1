"""Files through the application and by redirect, over a real socket: ranges, conditions, headers, names and types."""

import re
from contextlib import asynccontextmanager
from itertools import product
from urllib.parse import unquote

import pytest
from fastapi import FastAPI

from async_storages import FastDFSStorage, InvalidArgumentException, LocalStorage, MemoryStorage, naming
from async_storages.integrations.fastapi import INLINE_TYPES, StoredFileResponse, register_exception_handlers
from async_storages.sniff import ACTIVE_TYPES
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES, disguised, samples
from tests.support.managers import fastdfs_config
from tests.support.s3 import s3_storage
from tests.support.uvicorn_server import asking

CONTENT = b"0123456789"


@asynccontextmanager
async def serving(storage, **options):
    """A client of an application that answers every path with the file of that key."""
    app = FastAPI()
    register_exception_handlers(app)

    @app.api_route("/{key:path}", methods=["GET", "HEAD", "POST"])
    async def read(key: str):
        return StoredFileResponse(storage.file(key), **options)

    async with asking(app) as client:
        yield client


@pytest.fixture
async def storage(tmp_path):
    async with LocalStorage(tmp_path / "files") as storage:
        yield storage


# Asked with, and answered: ETAG and MODIFIED stand for what the file has.
CASES = {
    "no range": ("GET", {}, 200, None, CONTENT),
    "the first bytes": ("GET", {"Range": "bytes=0-3"}, 206, "bytes 0-3/10", b"0123"),
    "to the end": ("GET", {"Range": "bytes=8-"}, 206, "bytes 8-9/10", b"89"),
    "the last bytes": ("GET", {"Range": "bytes=-3"}, 206, "bytes 7-9/10", b"789"),
    "more last bytes than there are": ("GET", {"Range": "bytes=-99"}, 206, "bytes 0-9/10", CONTENT),
    "an end beyond the end": ("GET", {"Range": "bytes=8-99"}, 206, "bytes 8-9/10", b"89"),
    "a beginning at the end": ("GET", {"Range": "bytes=10-"}, 416, "bytes */10", b""),
    "the last none": ("GET", {"Range": "bytes=-0"}, 416, "bytes */10", b""),
    "malformed": ("GET", {"Range": "bytes=a-b"}, 200, None, CONTENT),
    "last before first": ("GET", {"Range": "bytes=4-0"}, 200, None, CONTENT),
    "another unit": ("GET", {"Range": "items=0-4"}, 200, None, CONTENT),
    "several ranges": ("GET", {"Range": "bytes=0-1,3-4"}, 200, None, CONTENT),
    "HEAD has no range": ("HEAD", {"Range": "bytes=0-3"}, 200, None, b""),
    "a range of this state": ("GET", {"Range": "bytes=0-3", "If-Range": "ETAG"}, 206, "bytes 0-3/10", b"0123"),
    "a range of another state": ("GET", {"Range": "bytes=0-3", "If-Range": '"other"'}, 200, None, CONTENT),
    "a range of a similar state": ("GET", {"Range": "bytes=0-3", "If-Range": "W/ETAG"}, 200, None, CONTENT),
    "the client has it": ("GET", {"If-None-Match": '"x", W/ETAG', "Range": "bytes=0-3"}, 304, None, b""),
    "not modified since": ("HEAD", {"If-Modified-Since": "MODIFIED"}, 304, None, b""),
    "of another state": ("GET", {"If-Match": '"other", W/ETAG'}, 412, None, b""),
}


@pytest.mark.parametrize(("method", "headers", "status", "content_range", "body"), CASES.values(), ids=CASES)
async def test_ranges_and_conditions(storage, method, headers, status, content_range, body):
    await storage.upload(CONTENT, "digits.txt")
    async with serving(storage) as client:
        whole = (await client.get("/digits.txt")).headers
        asked = {
            name: value.replace("ETAG", whole["ETag"]).replace("MODIFIED", whole["Last-Modified"])
            for name, value in headers.items()
        }
        answer = await client.request(method, "/digits.txt", headers=asked)

    assert (answer.status_code, answer.headers.get("Content-Range"), answer.content) == (status, content_range, body)
    assert (answer.headers["ETag"], answer.headers["Last-Modified"]) == (whole["ETag"], whole["Last-Modified"])
    assert answer.headers["Accept-Ranges"] == "bytes"
    length = None if status == 304 else str(len(CONTENT) if method == "HEAD" else len(body))
    assert answer.headers.get("Content-Length") == length


async def test_conditions_and_ranges_together(storage):
    """Every combination of what holds and what does not, in the order of RFC 9110 section 13.2.2."""
    await storage.upload(CONTENT, "digits.txt")
    async with serving(storage) as client:
        now = (await client.get("/digits.txt")).headers
        tags, times = (None, now["ETag"], '"other"'), (None, now["Last-Modified"], "Mon, 01 Jan 2001 00:00:00 GMT")
        ranges, wrong = (None, "bytes=0-3", "bytes=10-"), {}
        names = ("If-Match", "If-Unmodified-Since", "If-None-Match", "If-Modified-Since", "If-Range", "Range")
        for asked in product(tags, times, tags, times, tags, ranges):
            match, unmodified, none_match, modified, if_range, part = asked
            headers = {name: value for name, value in zip(names, asked, strict=True) if value}
            status = 200
            if part and if_range != tags[2]:
                status = 206 if part == ranges[1] else 416
            if none_match == tags[1] or (none_match is None and modified == times[1]):
                status = 304
            if match == tags[2] or (match is None and unmodified == times[2]):
                status = 412
            answer = await client.get("/digits.txt", headers=headers)
            if (answer.status_code, answer.content) != (status, {200: CONTENT, 206: b"0123"}.get(status, b"")):
                wrong[tuple(headers.items())] = answer.status_code
    assert wrong == {}


async def test_the_head_is_the_same_without_the_file(storage):
    await storage.upload(b"\x89PNG\r\n\x1a\n", "照片.png")
    async with serving(storage) as client:
        whole, head = [(await client.request(method, "/照片.png")).headers for method in ("GET", "HEAD")]
        missing = [(await client.request(method, "/missing.png")).headers for method in ("GET", "HEAD")]
    assert {**whole, "date": None} == {**head, "date": None}
    assert [{**each, "date": None} for each in missing] == [{**missing[0], "date": None}] * 2


async def test_a_range_header_that_comes_twice_asks_for_several(storage):
    await storage.upload(CONTENT, "digits.txt")
    async with serving(storage) as client:
        answer = await client.get("/digits.txt", headers=[("Range", "bytes=0-1"), ("Range", "bytes=3-4")])
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.fixture(params=["s3", "fastdfs"])
def remote(request):
    if request.param == "fastdfs":
        return FastDFSStorage(fastdfs_config(request.getfixturevalue("fastdfs_server")))
    return s3_storage(request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket"))


async def test_a_file_is_put_together_of_ranges(remote):
    content = b"".join(number.to_bytes(4) for number in range(200_000))
    async with remote, serving(remote, mode="proxy") as client:
        path = "/" + await remote.upload(content, "large.bin")
        came, state = b"", (await client.head(path)).headers
        validator = state.get("ETag") or state["Last-Modified"]
        for start in range(0, len(content), 300_000):
            headers = {"Range": f"bytes={start}-{start + 299_999}", "If-Range": validator}
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 206
            came += answer.content
        unchanged = await client.get(path, headers={"If-Modified-Since": state["Last-Modified"]})
        whole = await client.get(path)
    assert came == whole.content == content
    assert unchanged.status_code == 304


async def test_a_column_without_a_file_is_not_found():
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/")
    async def read():
        return StoredFileResponse(None)

    async with asking(app) as client:
        assert (await client.get("/")).json()["code"] == "file_not_found"


async def test_an_empty_file():
    storage = MemoryStorage()
    await storage.upload(b"", "empty.bin")
    async with serving(storage) as client:
        for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=-5"}):
            answer = await client.get("/empty.bin", headers=headers)
            assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "0", b"")


async def test_what_a_file_is_asked_for_with_post_has_no_conditions():
    storage = MemoryStorage()
    await storage.upload(CONTENT, "digits.txt")
    async with serving(storage) as client:
        answer = await client.post("/digits.txt", headers={"Range": "bytes=0-1", "If-None-Match": "*"})
    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_headers_that_make_it_harmless():
    storage = MemoryStorage()
    await storage.upload(CONTENT, "digits.txt")
    async with serving(storage) as client:
        etag = (await client.get("/digits.txt")).headers["ETag"]
        for asked in ({}, {"Range": "bytes=0-3"}, {"If-None-Match": etag}, {"If-Match": '"x"'}, {"Range": "bytes=99-"}):
            headers = (await client.get("/digits.txt", headers=asked)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert headers["Cache-Control"] == "private, no-cache"


async def test_headers_of_the_route_come_first():
    storage = MemoryStorage()
    await storage.upload(CONTENT, "digits.txt")
    own = {"Cache-Control": "public, max-age=60", "Content-Security-Policy": "default-src 'none'", "X-Own": "1"}
    async with serving(storage, headers=own) as client:
        answer = await client.get("/digits.txt")
    assert {name: answer.headers.get_list(name) for name in own} == {name: [value] for name, value in own.items()}


async def test_how_long_a_client_may_keep_it():
    storage = MemoryStorage()
    await storage.upload(CONTENT, "digits.txt")
    async with serving(storage, max_age=60) as client:
        assert (await client.get("/digits.txt")).headers["Cache-Control"] == "private, max-age=60"


async def test_no_name_leaves_its_header():
    storage = MemoryStorage()
    await storage.upload(CONTENT, "digits.txt")
    app = FastAPI()
    names = [*HOSTILE_NAMES.values(), *GOOD_NAMES]

    @app.get("/{number}")
    async def read(number: int):
        return StoredFileResponse(storage.file("digits.txt"), filename=names[number], disposition="attachment")

    async with asking(app) as client:
        answers = [await client.get(f"/{number}") for number in range(len(names))]
    for name, answer in zip(names, answers, strict=True):
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert "Set-Cookie" not in answer.headers
        said = answer.headers["Content-Disposition"]
        found = re.fullmatch(r"attachment; filename=\"([ -~]+)\"(?:; filename\*=UTF-8''([!-~]+))?", said)
        assert found, f"{name!a} became {said}"
        assert (unquote(found[2]) if found[2] else found[1]) == (naming.clean_filename(name) if name else "digits.txt")


async def test_only_harmless_types_are_shown():
    storage = MemoryStorage()
    contents = {label: content for label, (content, _) in disguised().items()} | {
        label: sample.content for label, sample in samples().items()
    }
    for label, content in contents.items():
        await storage.upload(content, f"{label}.png")
    async with serving(storage) as client:
        for label in contents:
            headers = (await client.get(f"/{label}.png")).headers
            kind, shown = headers["Content-Type"], headers["Content-Disposition"].startswith("inline")
            assert shown == (kind in INLINE_TYPES), label
            assert not (shown and kind in ACTIVE_TYPES), label
        assert (await client.get("/image-png.png")).headers["Content-Disposition"] == 'inline; filename="image-png.png"'
    async with serving(storage, disposition="attachment") as client:
        assert (await client.get("/image-png.png")).headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    "kind", ["text/html", "TEXT/HTML", "image/svg+xml; charset=utf-8", "text/plain\r\nX: 1", "тип"]
)
async def test_no_type_is_shown_for_being_asked_for(kind):
    storage = MemoryStorage()
    await storage.upload(b"<script>", "a.txt")
    async with serving(storage, content_type=kind) as client:
        headers = (await client.get("/a.txt")).headers
    assert headers["Content-Disposition"] == 'attachment; filename="a.txt"'
    assert headers["Content-Type"] in {kind, "application/octet-stream"}


MALFORMED = [
    "image/jpeg;, text/html",
    "image/jpeg, text/html",
    "image/jpeg;a=b,text/html",
    'image/jpeg; a="b, text/html',
    'image/jpeg; a="b, text/html"',
    "image/jpeg;",
    "image/jpeg; text/html",
    "image/jpeg text/html",
    " image/jpeg",
    "image/jpeg\t",
    "image /jpeg",
    "image",
    "image/",
    "/jpeg",
]


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_type_is_not_shown(kind):
    """Whoever writes into the bucket chooses it: of two types browsers take the last."""
    storage = MemoryStorage()
    await storage.upload(b"<script>", "a.jpg")
    content, info = storage._files["a.jpg"]
    storage._files["a.jpg"] = content, info.model_copy(update={"content_type": kind})
    for options in ({}, {"content_type": kind}):
        async with serving(storage, **options) as client:
            headers = (await client.get("/a.jpg")).headers
        assert headers["Content-Disposition"] == 'attachment; filename="a.jpg"'
        assert headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "IMAGE/JPEG", "text/plain; charset=utf-8", 'text/plain;charset="utf-8"']
)
async def test_a_well_formed_type_is_shown_as_it_is(kind):
    storage = MemoryStorage()
    await storage.upload(b"text", "a.jpg")
    async with serving(storage, content_type=kind) as client:
        headers = (await client.get("/a.jpg")).headers
    assert headers["Content-Disposition"] == 'inline; filename="a.jpg"'
    assert headers["Content-Type"] == kind


@pytest.mark.parametrize(
    "options",
    [{"mode": "stream"}, {"disposition": "window"}, {"max_age": -1}, {"max_age": 0.5}, {"expires_in": 0}],
    ids=str,
)
def test_options_that_cannot_be(options):
    with pytest.raises(InvalidArgumentException):
        StoredFileResponse(MemoryStorage().file("a.txt"), **options)


# ---- redirects


@pytest.fixture
async def s3(s3_server, s3_bucket):
    async with s3_storage(s3_server, s3_bucket) as storage:
        yield storage


@pytest.mark.parametrize(("method", "status"), [("GET", 307), ("HEAD", 307), ("POST", 303)])
async def test_a_redirect_leads_to_the_file(s3, method, status):
    await s3.upload(b"\x89PNG\r\n\x1a\n", "folder/照片 1.png")
    async with serving(s3) as client:
        redirect = await client.request(method, "/folder/照片 1.png")
        answer = await client.request(method, "/folder/照片 1.png", follow_redirects=True)
    assert (redirect.status_code, redirect.content) == (status, b"")
    assert redirect.headers["Cache-Control"] == "private, no-cache"
    assert answer.status_code == 200
    assert answer.content == (b"" if method == "HEAD" else b"\x89PNG\r\n\x1a\n")
    assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == ("image/png", "8")
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("inline;")
    assert unquote(disposition).endswith("照片 1.png")


async def test_a_redirect_shows_nothing_under_a_type_that_its_name_does_not_tell(s3):
    await s3.upload(b"<html><script>alert(1)</script>", "page.png", content_type="text/html")
    await s3.upload(b"<html><script>alert(1)</script>", "page.html")
    async with serving(s3) as client:
        picture = await client.get("/page.png", follow_redirects=True)
        page = await client.get("/page.html", follow_redirects=True)
    assert picture.headers["Content-Type"] == "image/png"
    assert page.headers["Content-Disposition"] == 'attachment; filename="page.html"'


async def test_a_redirect_signs_no_malformed_type(s3):
    await s3.upload(b"<script>", "page.jpg")
    async with serving(s3, content_type="image/jpeg;, text/html") as client:
        answer = await client.get("/page.jpg", follow_redirects=True)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="page.jpg"'
    with pytest.raises(InvalidArgumentException, match="is not a content type"):
        s3.presign("page.jpg", content_type="image/jpeg;, text/html")


@pytest.mark.parametrize(
    ("max_age", "said"), [(0, "private, no-cache"), (20, "private, max-age=20"), (86_400, "private, max-age=50")]
)
async def test_a_redirect_is_not_kept_longer_than_its_url(s3, max_age, said):
    own = {"Cache-Control": "public, max-age=31536000", "X-Own": "1"}
    async with serving(s3, expires_in=100, max_age=max_age, headers=own) as client:
        headers = (await client.get("/a.txt")).headers
    assert (headers.get_list("Cache-Control"), headers["X-Own"]) == ([said], "1")


async def test_what_cannot_be_presigned_comes_through_the_application(storage):
    await storage.upload(CONTENT, "digits.txt")
    async with serving(storage) as client:
        assert (await client.get("/digits.txt")).content == CONTENT
    async with serving(storage, mode="redirect") as client:
        assert (await client.get("/digits.txt")).status_code == 501
