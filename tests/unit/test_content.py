import hashlib
import io
import tracemalloc
import zlib
from contextlib import aclosing, suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages import LocalStorage, MemoryStorage
from async_storages.content import Content, PendingFile, as_content, check_metadata
from async_storages.errors import (
    ChecksumMismatchException,
    FileTooLargeException,
    InvalidArgumentException,
    StorageException,
)
from async_storages.images.probe import ImageSize
from async_storages.sources import CHUNK_SIZE
from tests.support.images import SIZE, encode
from tests.support.streams import Closing, collect, empty_input, stream, type_name

SHA256 = hashlib.sha256(b"hello").hexdigest()
PNG = encode("PNG")


def split(data, cuts):
    """The data cut at these positions."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


# ---- one pass


@given(
    st.sampled_from([0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE]),
    st.lists(st.integers(0), max_size=9),
)
async def test_however_the_bytes_arrive_the_chunks_and_facts_are_the_same(size, cuts):
    data = (b"<html>" + bytes(range(256)) * (size // 256 + 1))[:size]
    content = Content(stream(*split(data, cuts)), checksums=["sha256"])
    chunks = [chunk async for chunk in content]
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK_SIZE] * (len(chunks) - 1)
    assert all(chunks)
    assert content.size == size
    assert content.digest("crc32") == zlib.crc32(data).to_bytes(4, "big")
    assert content.hexdigest("sha256") == hashlib.sha256(data).hexdigest()
    assert await content.content_type() == await Content(data).content_type()


async def test_a_chunk_of_100_megabytes_is_cut():
    lengths = [len(chunk) async for chunk in Content(stream(bytes(100_000_000)))]
    assert (max(lengths), sum(lengths)) == (CHUNK_SIZE, 100_000_000)


async def test_256_mebibytes_pass_in_constant_memory():
    async def generate():
        for _ in range(1024):
            yield bytes(CHUNK_SIZE)

    content = Content(generate(), checksums=["sha256"], filename="a.bin")
    tracemalloc.start()
    try:
        async for _chunk in content:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content.size == 256 * 2**20
    assert peak < 2 * 2**20


# ---- sizes


@pytest.mark.parametrize("given_size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1])
@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("known", [True, False], ids=["known", "streamed"])
async def test_the_largest_size_is_allowed_and_one_byte_more_is_not(given_size, more, known):
    data = bytes(max(0, given_size + more))
    content = Content(data if known else stream(data), max_size=given_size)
    if more > 0:
        with pytest.raises(FileTooLargeException, match=f"larger than the {given_size} bytes"):
            await collect(content)
    else:
        assert await collect(content) == data


@pytest.mark.parametrize("known", [True, False], ids=["known", "streamed"])
@pytest.mark.parametrize(("minimum", "is_allowed"), [(0, True), (4, True), (5, True), (6, False)])
async def test_the_smallest_size_is_allowed_and_one_byte_fewer_is_not(minimum, is_allowed, known):
    content = Content(b"hello" if known else stream(b"he", b"llo"), min_size=minimum)
    if is_allowed:
        assert await collect(content) == b"hello"
    else:
        with pytest.raises(InvalidArgumentException, match="smaller than the 6 bytes"):
            await collect(content)


@pytest.mark.parametrize("known", [True, False], ids=["known", "streamed"])
@pytest.mark.parametrize(
    ("declared", "reason"),
    [(4, "more than the announced 4"), (5, None), (6, "only 5 of the announced 6"), (0, "more than")],
)
async def test_the_declared_size_has_to_arrive(declared, reason, known):
    content = Content(b"hello" if known else stream(b"he", b"llo"), size=declared)
    if reason is None:
        assert await collect(content) == b"hello"
        assert content.size == 5
    else:
        with pytest.raises(InvalidArgumentException, match=reason):
            await collect(content)


async def test_nothing_is_read_of_what_is_declared_or_known_to_be_too_large():
    closing = Closing(b"never")
    for content in (Content(closing.stream(), size=11, max_size=10), Content(b"x" * 11, max_size=10)):
        for ask in (content.measure, lambda content=content: collect(content)):
            with pytest.raises(FileTooLargeException):
                await ask()
    assert not closing.closed


async def test_a_lying_source_is_stopped_at_the_limit():
    passed = 0

    async def endless():
        nonlocal passed
        while True:
            passed += CHUNK_SIZE
            yield bytes(CHUNK_SIZE)

    async with Content(endless(), max_size=2 * CHUNK_SIZE) as content:
        with pytest.raises(FileTooLargeException):
            await collect(content)
    assert passed == 3 * CHUNK_SIZE


async def test_of_too_much_never_all_that_was_announced_is_given():
    """With it a server that was told the size has the file."""
    chunk = bytes(CHUNK_SIZE)
    async with aclosing(aiter(Content(stream(chunk, chunk, b"more"), size=2 * CHUNK_SIZE))) as chunks:
        assert await anext(chunks) == chunk
        with pytest.raises(InvalidArgumentException, match="more than the announced"):
            await anext(chunks)


@pytest.mark.parametrize(
    ("before", "after", "reason"), [(10, 12, "more than the announced 10"), (10, 8, "only 8 of the announced 10")]
)
@pytest.mark.parametrize("as_path", [True, False], ids=["path", "file"])
async def test_a_file_that_grows_or_shrinks_while_it_is_read_is_refused(before, after, reason, as_path, tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(bytes(before))
    with path.open("rb") as file:
        content = Content(path if as_path else file)
        assert await content.measure() == before
        path.write_bytes(bytes(after))
        with pytest.raises(InvalidArgumentException, match=reason):
            await collect(content)


@pytest.mark.parametrize("option", ["size", "min_size", "max_size"])
@pytest.mark.parametrize("value", [-1, 1.5, "7", b"7"])
def test_a_size_is_a_number_of_bytes(option, value):
    with pytest.raises(InvalidArgumentException, match=f"{option} must be a number of bytes"):
        Content(b"", **{option: value})


@pytest.mark.parametrize(
    ("source", "options", "size"),
    [
        (b"hello", {}, 5),
        (io.BytesIO(b"hello"), {}, 5),
        ([b"he", b"llo"], {}, 5),
        (iter([b"x"]), {}, None),
        (iter([b"x"]), {"size": 1}, 1),
    ],
    ids=["bytes", "file", "list", "iterator", "declared"],
)
async def test_measuring_tells_the_size_that_is_known_without_reading(source, options, size):
    content = Content(source, **options)
    assert content.size == options.get("size")
    assert await content.measure() == size == content.size


# ---- checksums


@pytest.mark.parametrize(
    "expected",
    [
        {"sha256": SHA256},
        {"sha256": SHA256.upper()},
        {"SHA256": SHA256},
        {"crc32": "3610A686"},
        {"md5": "5d41402abc4b2a76b9719d911017c592", "crc32": "3610a686"},
        {},
        None,
    ],
    ids=["sha256", "upper", "upper-name", "crc32", "two", "none", "None"],
)
async def test_expected_checksums_hold(expected):
    assert await collect(Content(b"hello", expected=expected)) == b"hello"


@pytest.mark.parametrize("algorithm", ["crc32", "sha256", "md5", "sha1", "blake2b"])
async def test_another_checksum_is_refused(algorithm):
    hashed = Content(b"hello", checksums=[algorithm])
    await collect(hashed)
    right = hashed.hexdigest(algorithm)
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    content = Content(b"hello", expected={algorithm: wrong})
    with pytest.raises(ChecksumMismatchException, match=f"{algorithm} is {right}, not the expected {wrong}"):
        await collect(content)


@pytest.mark.parametrize(
    "options",
    [
        {"expected": {"crc32": "00000000"}},
        {"size": 700_001},
        {"size": 699_999},
        {"max_size": 699_999},
        {"min_size": 700_001},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_the_last_chunk_of_what_is_wrong_never_comes(options):
    passed = []
    content = Content(stream(bytes(700_000)), **options)
    async with aclosing(aiter(content)) as chunks:
        passed.extend([await anext(chunks), await anext(chunks)])
        with pytest.raises(StorageException):
            await anext(chunks)
    assert sum(map(len, passed)) < 700_000


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"expected": {"sha257": "00"}}, "unknown checksum algorithm 'sha257'"),
        ({"checksums": ["nonsense"]}, "unknown checksum algorithm 'nonsense'"),
        ({"expected": {"shake_128": "00"}}, "no fixed length"),
        ({"checksums": ["shake_256"]}, "no fixed length"),
        ({"expected": {"sha256": ""}}, "must be 64 hex digits"),
        ({"expected": {"sha256": SHA256[:-1]}}, "must be 64 hex digits"),
        ({"expected": {"crc32": "3610a68g"}}, "must be 8 hex digits"),
        ({"expected": {"md5": "XUFAKrxLKna5cZ2REBfFkg=="}}, "must be 32 hex digits"),
        ({"expected": {"crc32": "a\r\n" * 100_000}}, r"not 'a\\r\\n"),
    ],
    ids=["unknown", "unknown-further", "shake", "shake-further", "empty", "short", "no-hex", "base64", "hostile"],
)
def test_a_checksum_that_cannot_hold_is_refused_at_once(options, reason):
    with pytest.raises(InvalidArgumentException, match=reason) as refused:
        Content(b"hello", **options)
    assert len(str(refused.value)) < 400


# ---- the type


@pytest.mark.parametrize(
    ("source", "options", "content_type"),
    [
        (PNG, {}, "image/png"),
        (PNG, {"filename": "a.html"}, "image/png"),
        (b"<html>", {"filename": "a.png"}, "text/html"),
        (b"a,b", {"filename": "a.csv"}, "text/csv"),
        (b"", {"filename": "a.csv"}, "text/csv"),
        (b"", {}, "application/octet-stream"),
        (b"\0\1", {}, "application/octet-stream"),
        (b"<html>", {"content_type": "text/plain; charset=utf-8"}, "text/plain; charset=utf-8"),
        (b"", {"content_type": "application/vnd.oasis.opendocument.text"}, "application/vnd.oasis.opendocument.text"),
        (b"", {"content_type": 'multipart/mixed; boundary="a b;c"; x=y'}, 'multipart/mixed; boundary="a b;c"; x=y'),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_type_is_given_or_told_by_bytes_and_name(source, options, content_type, when):
    content = Content(stream(*split(source, [1, 2, 3])), **options)
    if when == "before":
        assert await content.content_type() == content_type
    assert await collect(content) == source
    assert await content.content_type() == content_type


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "text/",
        "/plain",
        "text/plain;",
        "text/plain\r\nX-Evil: 1",
        "text/plain;\r\nx=y",
        "text/plain; x=y\r\n",
        'text/plain; x="a\r\nb"',
        'text/plain; x="a\0b"',
        'text/plain; x="ä"',
        'text/plain; x="a\\"b"',
        "text/plän",
        "text/plain, text/html",
        "text/plain;, text/html",
        'text/plain; x=", text/html"',
        " text/plain",
        "text / plain",
        "text/plain; x = y",
        "<script>/x",
        b"text/plain",
        7,
    ],
    ids=ascii,
)
def test_a_hostile_type_is_refused(value):
    with pytest.raises(InvalidArgumentException, match="is not a content type") as refused:
        Content(b"", content_type=value)
    assert "\n" not in str(refused.value)


async def test_what_a_client_declares_is_not_believed():
    from fastapi import UploadFile

    upload = UploadFile(io.BytesIO(b"<html>"), filename="a.png", headers={"content-type": "image/png"})
    assert await Content(upload).content_type() == "text/html"


# ---- metadata


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"Owner": "Ann", "x-1_2.3": ""}, {"owner": "Ann", "x-1_2.3": ""}),
        ({"k": "Größe 照片 🎉"}, {"k": "Größe 照片 🎉"}),
        ({"k" * 64: "v"}, {"k" * 64: "v"}),
    ],
)
def test_metadata_is_kept_with_keys_in_lower_case(metadata, kept):
    assert check_metadata(metadata) == Content(b"", metadata=metadata).metadata == kept


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"": "v"}, "key ''"),
        ({"k" * 65: "v"}, "1 to 64"),
        ({"a b": "v"}, "key 'a b'"),
        ({"a:b": "v"}, "key"),
        ({"-a": "v"}, "key"),
        ({"ä": "v"}, "key"),
        ({"k\r\nX-Evil": "v"}, r"key 'k\\r\\nx-evil'"),
        ({"k": "a\r\nX-Evil: 1"}, "printable"),
        ({"k": "\0"}, "printable"),
        ({"k": "\ud800"}, "printable"),
        ({"k": " v"}, "printable"),
        ({"k": "v "}, "printable"),
        ({"k": 7}, "printable"),
        ({"k": None}, "printable"),
        ({"k": b"v"}, "printable"),
        ({"Key": "v", "key": "w"}, "more than case"),
    ],
    ids=repr,
)
def test_metadata_that_some_backend_could_not_keep_is_refused(metadata, reason):
    with pytest.raises(InvalidArgumentException, match=reason):
        check_metadata(metadata)


def test_the_callers_metadata_stays_as_it_is():
    metadata = {"Key": "v"}
    content = Content(b"", metadata=metadata)
    content.metadata["other"] = "w"
    assert metadata == {"Key": "v"}


# ---- looking first, leaving, and starting again


@pytest.mark.parametrize("make", [lambda: b"hello", lambda: stream(b"he", b"", b"llo")], ids=["bytes", "stream"])
async def test_what_was_looked_at_still_comes(make):
    content = Content(make())
    assert [await content.head(), await content.head()] == [b"hello"] * 2
    assert await collect(content) == b"hello"
    assert await content.head() == b"hello"


async def test_the_head_may_be_looked_at_in_the_midst_of_a_pass():
    data = bytes(range(256)) * 4000
    content = Content(stream(data))
    passed = b""
    async for chunk in content:
        passed += chunk
        assert data.startswith(await content.head())
    assert passed == data


REPLAYABLE = {
    "bytes": lambda: b"x" * 600_000,
    "file": lambda: io.BytesIO(b"x" * 600_000),
    "list": lambda: [b"x" * 600_000],
}
ONCE = {"stream": lambda: stream(b"x" * 600_000), "iterator": lambda: iter([b"x" * 600_000])}


async def read_all(content):
    await collect(content)


async def read_a_chunk(content):
    async with aclosing(aiter(content)) as chunks:
        await anext(chunks)


async def read_a_chunk_and_forget(content):
    async for _ in content:
        break


async def look_and_close(content):
    await content.head()
    await content.aclose()


each_use = pytest.mark.parametrize(
    "use", [read_all, read_a_chunk, read_a_chunk_and_forget, look_and_close, Content.aclose]
)


@each_use
@pytest.mark.parametrize("make", REPLAYABLE.values(), ids=REPLAYABLE)
async def test_after_any_use_the_whole_comes_again(make, use):
    content = Content(make(), checksums=["md5"])
    assert content.replayable
    for _ in range(2):
        await use(content)
        assert await content.head() == b"x" * CHUNK_SIZE
        assert await collect(content) == b"x" * 600_000
        assert content.hexdigest("md5") == hashlib.md5(b"x" * 600_000).hexdigest()
        assert content.size == 600_000


@each_use
@pytest.mark.parametrize("make", ONCE.values(), ids=ONCE)
async def test_what_can_be_read_once_never_gives_a_part_as_the_whole(make, use):
    content = Content(make())
    assert not content.replayable
    await use(content)
    with pytest.raises(InvalidArgumentException, match="only once"):
        await collect(content)


@pytest.mark.parametrize("first", [collect, Content.head, Content.content_type])
async def test_a_source_that_failed_is_not_taken_for_empty(first):
    content = Content(stream(b"x" * 1000, LookupError("mine")))
    with pytest.raises(LookupError, match="mine"):
        await first(content)
    for again in (collect, Content.head):
        with pytest.raises(InvalidArgumentException, match="only once"):
            await again(content)


async def test_a_file_that_failed_once_is_read_from_its_beginning():
    class FailsOnce(io.BytesIO):
        failures = 1

        def read(self, size=-1):
            if self.tell() and self.failures:
                self.failures = 0
                raise LookupError("mine")
            return super().read(size)

    content = Content(FailsOnce(b"x" * 600_000))
    with pytest.raises(LookupError, match="mine"):
        await collect(content)
    assert await collect(content) == b"x" * 600_000


async def test_a_file_in_the_way_of_a_limit_can_be_given_to_another_content():
    file = io.BytesIO(b"hello")
    with pytest.raises(FileTooLargeException):
        await collect(Content(file, max_size=4))
    assert await collect(Content(file)) == b"hello"


# ---- closing


@pytest.mark.parametrize("how", ["sync", "stream"])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, None),
        ({"max_size": 3}, FileTooLargeException),
        ({"size": 1}, InvalidArgumentException),
        ({"expected": {"crc32": "00000000"}}, ChecksumMismatchException),
    ],
    ids=["left", "too-large", "lying", "mismatch"],
)
async def test_what_the_source_opened_is_closed_however_it_ends(how, options, error):
    closing = Closing(b"x" * CHUNK_SIZE, b"y" * CHUNK_SIZE)
    async with Content(getattr(closing, how)(), **options) as content:
        if error is None:
            await read_a_chunk(content)
        else:
            with pytest.raises(error):
                await collect(content)
    assert closing.closed


async def test_a_content_that_was_never_read_closes_in_silence():
    async with Content(stream(b"x")):
        pass


async def test_the_callers_file_stays_open(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    with (tmp_path / "a").open("rb") as file:
        async with Content(file) as content:
            await collect(content)
        assert not file.closed


# ---- images


@pytest.mark.parametrize("cuts", [[], [1, 7, 20, 25]], ids=["whole", "cut"])
async def test_the_dimensions_of_an_image_are_found_while_it_streams(cuts):
    content = Content(stream(*split(PNG, cuts)))
    await collect(content)
    assert content.image_size == ImageSize(*SIZE)


@pytest.mark.parametrize(
    "data",
    [b"", b"no image", PNG[:20], b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ids=["empty", "text", "cut", "svg"],
)
async def test_what_is_no_image_has_no_dimensions(data):
    content = Content(data)
    await collect(content)
    assert content.image_size is None


# ---- what can be uploaded


@pytest.mark.parametrize(
    ("pending", "filename", "options", "expected"),
    [
        (PendingFile(b""), None, {}, (None, {}, "application/octet-stream")),
        (PendingFile(b"", "a.txt", "text/csv", {"k": "v"}), None, {}, ("a.txt", {"k": "v"}, "text/csv")),
        (PendingFile(b"", "a.txt"), "b.css", {}, ("b.css", {}, "text/css")),
        (
            PendingFile(b"", None, "text/csv", {"k": "v"}),
            None,
            {"content_type": "a/b", "metadata": {"l": "w"}},
            (None, {"l": "w"}, "a/b"),
        ),
        (
            PendingFile(b"", None, "text/csv", {"k": "v"}),
            None,
            {"content_type": None, "metadata": None},
            (None, {"k": "v"}, "text/csv"),
        ),
    ],
    ids=["bare", "described", "name-given", "options-given", "options-none"],
)
async def test_a_pending_file_describes_itself_unless_something_else_is_said(pending, filename, options, expected):
    content = as_content(pending, filename, options)
    assert (content.filename, content.metadata, await content.content_type()) == expected


@pytest.mark.parametrize("source", [b"hello", PendingFile(b"hello")], ids=type_name)
async def test_name_and_options_hold_for_whatever_is_uploaded(source):
    content = as_content(source, "a.csv", {"max_size": 4})
    assert await content.content_type() == "text/csv"
    with pytest.raises(FileTooLargeException):
        await collect(content)


def test_a_content_stays_itself_but_for_its_name():
    content = Content(b"", filename="client.txt")
    assert as_content(content, None, {}) is content
    assert content.filename == "client.txt"
    assert as_content(content, "key.txt", {}) is content
    assert content.filename == "key.txt"


def test_options_belong_to_the_content_where_there_is_one():
    with pytest.raises(InvalidArgumentException, match="max_size, size: give them to Content"):
        as_content(Content(b""), None, {"max_size": 4, "size": 3})


def test_a_pending_file_shows_no_metadata():
    assert "secret" not in repr(PendingFile(b"", "a.txt", metadata={"k": "secret"}))


# ---- what it came from, afterwards

LONG = bytes(range(256)) * 4000


@pytest.mark.parametrize("position", [0, 5])
@pytest.mark.parametrize("how", ["it fails", "its reader fails", "it is left", "only its head is read"])
async def test_a_file_that_was_not_stored_is_put_back_where_it_began(how, position):
    file = io.BytesIO(LONG)
    file.seek(position)
    expected = {"crc32": "0" * 8} if how == "it fails" else {}
    with suppress(ChecksumMismatchException, ZeroDivisionError):
        async with Content(file, expected=expected) as content:
            await content.head()
            if how != "only its head is read":
                async for _ in content:
                    if how == "it is left":
                        break
            assert file.tell() > position
            if how == "its reader fails":
                raise ZeroDivisionError
    assert file.tell() == position


async def test_a_file_that_was_read_to_its_end_stays_there():
    file = io.BytesIO(LONG)
    async with Content(file) as content:
        assert await collect(content) == LONG
    assert file.tell() == len(LONG)


async def test_what_was_not_chosen_is_no_content():
    for make in (Content, lambda upload: as_content(PendingFile(upload), None, {})):
        with pytest.raises(InvalidArgumentException, match="no file was chosen"):
            make(empty_input())


@pytest.mark.parametrize("make", [iter, lambda items: map(bytes, items)], ids=["list", "map"])
async def test_pending_content_that_was_begun_is_never_taken_for_the_whole(make):
    pending = PendingFile(make([b"a", b"b"]))
    async with as_content(pending, None, {"max_size": 1}) as content:
        with pytest.raises(FileTooLargeException):
            await collect(content)
    with pytest.raises(InvalidArgumentException, match="only once"):
        await collect(as_content(pending, None, {}))


async def test_the_checksum_is_known_once_all_has_passed():
    content = Content([b"hel", b"lo"])
    assert content.crc32 is None
    async for _chunk in content:
        pass
    assert content.crc32 == 0x3610A686


@pytest.mark.parametrize("make", [lambda folder: MemoryStorage(), LocalStorage], ids=["memory", "local"])
@pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
async def test_save_tells_how_far_it_is(make, told, tmp_path):
    seen = []
    content = bytes(3 * CHUNK_SIZE + 7)
    source = content if told else stream(content[:100], content[100:])
    stored = await make(tmp_path).save(source, "a.bin", on_progress=lambda *progress: seen.append(progress))
    assert await stored.get_size() == seen[-1][0] == len(content)
    assert [passed for passed, _ in seen] == [*range(CHUNK_SIZE, len(content), CHUNK_SIZE), len(content)]
    assert {size for _, size in seen[:-1]} == {len(content) if told else None}


async def test_what_the_report_of_progress_raises_ends_the_write(tmp_path):
    def stop(passed, size):
        raise RuntimeError("cancelled by the user")

    storage = LocalStorage(tmp_path)
    with pytest.raises(RuntimeError, match="cancelled by the user"):
        await storage.save(bytes(3 * CHUNK_SIZE), "a.bin", on_progress=stop)
    assert [info async for info in storage.list()] == []


# ---- the end is held back


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE])
async def test_all_but_the_last_chunk_comes_before_the_end_that_is_held(size):
    told = []

    async def until():
        told.append("held")

    content = Content(stream(bytes(size)))
    content.hold_end(until)
    async for chunk in content:
        told.append(len(chunk))  # noqa: PERF401 - in the order in which they come
    sizes = [min(CHUNK_SIZE, size - start) for start in range(0, size, CHUNK_SIZE)]
    assert told == [*sizes[:-1], "held", *sizes[-1:]]


async def test_an_end_that_never_comes_fails_the_pass():
    async def until():
        raise StorageException("no")

    content = Content(b"hello")
    content.hold_end(until)
    with pytest.raises(StorageException, match="no"):
        await collect(content)
    assert content.crc32 is None
