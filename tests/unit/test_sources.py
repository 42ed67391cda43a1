import array
import asyncio
import gzip
import io
import os
import tempfile
import threading
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path
from typing import NamedTuple

import aiofiles
import pytest
from aiohttp.web import FileField
from fastapi import UploadFile
from multidict import CIMultiDict, CIMultiDictProxy

from async_storages.errors import InvalidArgumentException
from async_storages.sources import CHUNK_SIZE, ByteSource, is_empty_input, open_source
from tests.support.streams import Closing, collect, stream, type_name

DATA = bytes(range(256)) * 3000  # 768,000 bytes, two chunks and a part of a third
HEADERS = CIMultiDictProxy(CIMultiDict())


class Kind(NamedTuple):
    make: object
    size: bool = False
    replayable: bool = False
    filename: str | None = None


def spooled(files, tmp_path, max_size):
    file = files.enter_context(tempfile.SpooledTemporaryFile(max_size))  # noqa: SIM115 - the stack closes it
    file.write(DATA)
    file.seek(0)
    return file


def named(files, tmp_path):
    file = files.enter_context(tempfile.NamedTemporaryFile(prefix="report", suffix=".pdf", dir=tmp_path))  # noqa: SIM115 - as above
    file.write(DATA)
    file.seek(0)
    return file


def on_disk(tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(DATA)
    return path


def opened(files, path, buffering=-1):
    return files.enter_context(path.open("rb", buffering=buffering))


def direntry(tmp_path):
    with os.scandir(on_disk(tmp_path).parent) as entries:
        return next(entries)


def piped(files, tmp_path):
    """A pipe that a thread fills."""
    reading, writing = os.pipe()

    def fill():
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as file:
            file.write(DATA)

    filler = threading.Thread(target=fill)
    filler.start()
    files.callback(filler.join)
    return files.enter_context(os.fdopen(reading, "rb"))


def gzipped(files, tmp_path):
    path = tmp_path / "report.gz"
    path.write_bytes(gzip.compress(DATA))
    return files.enter_context(gzip.open(path))


class AsyncFile:
    def __init__(self, data=DATA, filename=None):
        self._file = io.BytesIO(data)
        self.filename = filename

    async def read(self, size=-1):
        return self._file.read(size)


class Wrapper:
    """What has a binary file as `.file`, and an asynchronous `read` that must not be used."""

    def __init__(self, file, filename=None):
        self.file = file
        self.filename = filename

    async def read(self, size=-1):
        raise AssertionError


class OnlyReads:
    def __init__(self, data=DATA):
        self.read = io.BytesIO(data).read


class Iterables:
    def __iter__(self):
        yield DATA

    class Async:
        async def __aiter__(self):
            yield DATA


KINDS = {
    "bytes": Kind(lambda f, p: DATA, size=True, replayable=True),
    "bytearray": Kind(lambda f, p: bytearray(DATA), size=True, replayable=True),
    "memoryview": Kind(lambda f, p: memoryview(DATA), size=True, replayable=True),
    "memoryview-int": Kind(lambda f, p: memoryview(array.array("I", DATA)), size=True, replayable=True),
    "memoryview-table": Kind(lambda f, p: memoryview(DATA).cast("B", (3000, 256)), size=True, replayable=True),
    "memoryview-steps": Kind(lambda f, p: memoryview(DATA[::-1])[::-1], size=True, replayable=True),
    "path": Kind(lambda f, p: on_disk(p), size=True, replayable=True, filename="report.pdf"),
    "direntry": Kind(lambda f, p: direntry(p), size=True, replayable=True, filename="report.pdf"),
    "BytesIO": Kind(lambda f, p: io.BytesIO(DATA), size=True, replayable=True),
    "file": Kind(lambda f, p: opened(f, on_disk(p)), size=True, replayable=True, filename="report.pdf"),
    "unbuffered": Kind(lambda f, p: opened(f, on_disk(p), 0), size=True, replayable=True, filename="report.pdf"),
    "spooled-memory": Kind(lambda f, p: spooled(f, p, 1_000_000), size=True, replayable=True),
    "spooled-disk": Kind(lambda f, p: spooled(f, p, 1), size=True, replayable=True),
    "NamedTemporaryFile": Kind(named, size=True, replayable=True, filename="report*.pdf"),
    "gzip": Kind(gzipped, size=True, replayable=True, filename="report.gz"),
    "UploadFile": Kind(
        lambda f, p: UploadFile(spooled(f, p, 1), filename="a/b.txt"), size=True, replayable=True, filename="a/b.txt"
    ),
    "UploadFile-nameless": Kind(lambda f, p: UploadFile(io.BytesIO(DATA), filename=""), size=True, replayable=True),
    "FileField": Kind(
        lambda f, p: FileField("field", "b.txt", io.BytesIO(DATA), "text/html", HEADERS),
        size=True,
        replayable=True,
        filename="b.txt",
    ),
    "wrapper": Kind(lambda f, p: Wrapper(io.BytesIO(DATA), "c.txt"), size=True, replayable=True, filename="c.txt"),
    "pipe": Kind(piped),
    "reads-only": Kind(lambda f, p: OnlyReads()),
    "async-file": Kind(lambda f, p: AsyncFile(filename="d.txt"), filename="d.txt"),
    "wrapped-async-file": Kind(lambda f, p: FileField("f", "e.txt", AsyncFile(), "", HEADERS), filename="e.txt"),
    "list": Kind(lambda f, p: [DATA[:9], bytearray(), memoryview(DATA)[9:]], size=True, replayable=True),
    "tuple": Kind(lambda f, p: (DATA[:1], b"", DATA[1:]), size=True, replayable=True),
    "generator": Kind(lambda f, p: (DATA[i : i + 100_000] for i in range(0, len(DATA), 100_000))),
    "iterator": Kind(lambda f, p: iter([DATA, b""])),
    "iterable": Kind(lambda f, p: Iterables()),
    "async-generator": Kind(lambda f, p: stream(DATA[:7], b"", bytearray(DATA[7:]))),
    "async-iterable": Kind(lambda f, p: Iterables.Async()),
}  # fmt: skip
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
def files():
    with ExitStack() as stack:
        yield stack


@each_kind
async def test_every_kind_gives_its_bytes_and_what_is_known_of_it(kind, files, tmp_path):
    given = kind.make(files, tmp_path)
    source = open_source(given)
    assert await source.size() == (len(DATA) if kind.size else None)
    assert await collect(source.chunks()) == DATA
    assert source.replayable is kind.replayable
    assert source.filename == kind.filename or Path(source.filename).match(kind.filename)
    assert not getattr(getattr(given, "file", given), "closed", False)  # the caller's files stay open
    if kind.replayable:
        assert await source.size() == len(DATA)
        assert await collect(source.chunks()) == DATA


@each_kind
async def test_every_kind_can_be_left_halfway(kind, files, tmp_path):
    source = open_source(kind.make(files, tmp_path))
    async with aclosing(source.chunks()) as chunks:
        first = await anext(chunks)
    assert DATA.startswith(first)
    if kind.replayable:
        assert await collect(source.chunks()) == DATA


async def test_aiofiles(tmp_path):
    async with aiofiles.open(on_disk(tmp_path), "rb") as file:
        source = open_source(file)
        assert await collect(source.chunks()) == DATA
        assert source.filename == "report.pdf"
        assert not file.closed
    async with aiofiles.open(on_disk(tmp_path), "rb") as closed:
        pass
    with pytest.raises(InvalidArgumentException, match="closed"):
        await collect(open_source(closed).chunks())


async def test_what_is_a_source_already_stays_it():
    class Own(ByteSource):
        def chunks(self) -> AsyncGenerator[bytes]:
            return stream(b"own")

    source = Own()
    assert open_source(source) is source
    assert (await source.size(), await collect(source.chunks())) == (None, b"own")


@pytest.mark.parametrize("name", ["file", "spooled-disk", "BytesIO", "NamedTemporaryFile", "gzip"])
async def test_a_file_is_read_from_where_it_stands_each_time(name, files, tmp_path):
    given = file = KINDS[name].make(files, tmp_path)
    file.seek(700_000)
    source = open_source(given)
    assert await source.size() == len(DATA) - 700_000
    assert file.tell() == 700_000  # whoever only asked has not moved it
    for _ in range(2):
        assert await collect(source.chunks()) == DATA[700_000:]


async def test_measuring_in_the_midst_of_reading_moves_nothing(files, tmp_path):
    source = open_source(KINDS["file"].make(files, tmp_path))
    passed = b""
    async for chunk in source.chunks():
        passed += chunk
        assert await source.size() == len(DATA)
    assert passed == DATA


@pytest.mark.parametrize("position", [1000, len(DATA), len(DATA) + 10])
@pytest.mark.parametrize("name", ["UploadFile", "UploadFile-nameless", "FileField", "wrapper"])
async def test_an_upload_is_the_whole_file_wherever_it_stands(name, position, files, tmp_path):
    given = KINDS[name].make(files, tmp_path)
    given.file.seek(position)
    source = open_source(given)
    assert await source.size() == len(DATA)
    for _ in range(2):
        assert await collect(source.chunks()) == DATA


@pytest.mark.parametrize("position", [len(DATA), len(DATA) + 10])
@pytest.mark.parametrize("name", ["file", "unbuffered", "spooled-memory", "spooled-disk", "BytesIO"])
async def test_a_file_at_its_end_is_refused_with_the_remedy(name, position, files, tmp_path):
    file = KINDS[name].make(files, tmp_path)
    file.seek(position)
    for ask in (open_source(file).size, lambda: collect(open_source(file).chunks())):
        with pytest.raises(
            InvalidArgumentException, match=r"at its end, after all of its 768000 bytes: call seek\(0\)"
        ):
            await ask()
    file.seek(0)
    assert await collect(open_source(file).chunks()) == DATA


@pytest.mark.parametrize("position", [0, 10])
@pytest.mark.parametrize("make", [io.BytesIO, tempfile.SpooledTemporaryFile, tempfile.TemporaryFile])
async def test_an_empty_file_is_no_file_at_its_end(make, position):
    with make() as file:
        file.seek(position)
        assert await collect(open_source(file).chunks()) == b""


@pytest.mark.parametrize("position", [0, 300_000])
@pytest.mark.parametrize("name", ["file", "unbuffered", "spooled-memory", "spooled-disk", "BytesIO", "gzip"])
async def test_a_file_is_put_back_where_it_began(name, position, files, tmp_path):
    file = KINDS[name].make(files, tmp_path)
    file.seek(position)
    source = open_source(file)
    await source.put_back()
    assert file.tell() == position
    async with aclosing(source.chunks()) as chunks:
        await anext(chunks)
    await source.put_back()
    assert file.tell() == position
    file.close()
    await source.put_back()  # where nothing can be done, nothing is


async def test_what_only_measured_puts_nothing_back():
    file = io.BytesIO(DATA)
    source = open_source(file)
    await source.size()
    file.seek(1000)
    await source.put_back()
    assert file.tell() == 1000


READ_ONCE = ["pipe", "async-file", "wrapped-async-file", "generator", "iterable", "async-generator", "async-iterable"]


@pytest.mark.parametrize("is_left", [True, False], ids=["left", "read"])
@pytest.mark.parametrize("name", READ_ONCE)
async def test_what_can_be_read_only_once_is_refused_the_second_time(name, is_left, files, tmp_path):
    given = KINDS[name].make(files, tmp_path)
    async with aclosing(open_source(given).chunks()) as chunks:
        await anext(chunks)
        if not is_left:
            await collect(chunks)
    with pytest.raises(InvalidArgumentException, match="can be read only once, and was"):
        await collect(open_source(given).chunks())


@pytest.mark.parametrize("make", [lambda: (b"" for _ in ()), stream], ids=["sync", "async"])
async def test_a_fresh_generator_may_give_nothing(make):
    given = make()
    assert await collect(open_source(given).chunks()) == b""
    with pytest.raises(InvalidArgumentException, match="only once"):
        await collect(open_source(given).chunks())


@pytest.mark.parametrize("how", ["sync", "stream"])
async def test_a_generator_that_somebody_else_has_begun_or_closed_is_refused(how):
    for close in (False, True):
        given = getattr(Closing(b"a", b"b"), how)()
        if close:
            await (given.aclose() if how == "stream" else asyncio.to_thread(given.close))
        else:
            await (anext(given) if how == "stream" else asyncio.to_thread(next, given))
        with pytest.raises(InvalidArgumentException, match="generator can be read only once"):
            await collect(open_source(given).chunks())


async def test_two_who_read_one_generator_at_once():
    given = stream(b"a", b"b")
    first, second = (open_source(given).chunks() for _ in range(2))
    assert await anext(first) == b"a"
    with pytest.raises(InvalidArgumentException, match="only once"):
        await anext(second)
    assert await collect(first) == b"b"


@pytest.mark.parametrize("make", [iter, lambda items: map(bytes, items), zip], ids=["list", "map", "zip"])
async def test_an_iterator_that_nobody_can_remember_is_not_taken_for_an_empty_file(make):
    with pytest.raises(InvalidArgumentException, match="gives nothing, as if it was read before"):
        await collect(open_source(make([])).chunks())


async def test_sources_that_are_equal_are_still_two():
    class Equal:
        def __eq__(self, other):
            return True

        __hash__ = None

        def __iter__(self):
            yield b"a"

    for _ in range(2):
        assert await collect(open_source(Equal()).chunks()) == b"a"


EMPTY_INPUTS = {
    "browser": lambda: UploadFile(io.BytesIO(), size=0, filename=""),
    "size unknown": lambda: UploadFile(io.BytesIO(), filename=""),
    "closed": lambda: closed(UploadFile(io.BytesIO(), size=0, filename="")),
    "asynchronous": lambda: UploadFile(AsyncFile(b""), size=0, filename=""),
}
FILES = {
    "name": lambda: UploadFile(io.BytesIO(), size=0, filename="a.txt"),
    "bytes": lambda: UploadFile(io.BytesIO(b"a"), size=1, filename=""),
    "bytes that were read": lambda: UploadFile(io.BytesIO(b"a"), size=0, filename=""),
    "no name at all": lambda: UploadFile(io.BytesIO()),
    "file": io.BytesIO,
    "no bytes": lambda: b"",
    "asynchronous": lambda: AsyncFile(b"", filename=""),
}


def closed(upload):
    upload.file.close()
    return upload


@pytest.mark.parametrize("make", EMPTY_INPUTS.values(), ids=EMPTY_INPUTS)
def test_an_upload_where_no_file_was_chosen(make):
    assert is_empty_input(make())


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_an_upload_that_is_a_file(make):
    assert not is_empty_input(make())


def test_looking_for_bytes_moves_nothing():
    upload = UploadFile(io.BytesIO(b"abc"), filename="")
    upload.file.seek(1)
    assert not is_empty_input(upload)
    assert upload.file.tell() == 1


@pytest.mark.parametrize("given", [b"", [], [b"", b""]], ids=repr)
async def test_nothing_is_of_size_zero(given):
    source = open_source(given)
    assert (await source.size(), await collect(source.chunks())) == (0, b"")


@pytest.mark.parametrize("path", ["/proc/self/status", "/dev/null"])
@pytest.mark.parametrize("as_path", [True, False], ids=["path", "file"])
async def test_what_the_system_calls_empty_is_of_unknown_size(path, as_path, files):
    source = open_source(Path(path) if as_path else opened(files, Path(path)))
    assert await source.size() is None
    assert bool(await collect(source.chunks())) is ("proc" in path)


async def test_chunks_of_files_have_the_chunk_size(files, tmp_path):
    for name in ("bytes", "path", "file", "UploadFile"):
        chunks = [len(chunk) async for chunk in open_source(KINDS[name].make(files, tmp_path)).chunks()]
        assert chunks == [CHUNK_SIZE, CHUNK_SIZE, len(DATA) - 2 * CHUNK_SIZE]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("text or a path?", "cannot be a str: pass pathlib.Path"),
        ({b"a": 1}, "not dict"),
        ({b"a", b"b"}, "not set"),
        (None, "not NoneType"),
        (7, "not int"),
        (1.5, "not float"),
        (object(), "not object"),
        ([b"a", "b"], "give bytes, not str"),
        ([1, 2], "give bytes, not int"),
        ((None,), "give bytes, not NoneType"),
    ],
    ids=type_name,
)
def test_what_holds_no_bytes_is_refused_at_once(given, reason):
    with pytest.raises(InvalidArgumentException, match=reason):
        open_source(given)


def test_a_coroutine_is_refused():
    coroutine = AsyncFile().read()
    with pytest.raises(InvalidArgumentException, match="not coroutine"):
        open_source(coroutine)
    coroutine.close()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (io.StringIO("text"), "text mode"),
        (iter(["text"]), "give bytes, not str"),
        (range(3), "give bytes, not int"),
        (array.array("B", b"abc"), "give bytes, not int"),
        (stream("text"), "give bytes, not str"),
    ],
    ids=["StringIO", "iterator", "range", "array", "stream"],
)
async def test_what_gives_no_bytes_is_refused_when_it_is_read(given, reason):
    with pytest.raises(InvalidArgumentException, match=reason):
        await collect(open_source(given).chunks())


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: path.open(), "text mode|codec"),
        (lambda path: path.open("wb"), "read"),
        (lambda path: path.open("rb"), "closed file"),
    ],
    ids=["text", "write-only", "closed"],
)
@pytest.mark.parametrize("content", [b"plain text", DATA], ids=["ascii", "binary"])
async def test_a_file_that_gives_no_bytes_is_refused(prepare, reason, content, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(content)
    with prepare(path) as file:
        if "closed" in reason:
            file.close()
        source = open_source(file)
        with pytest.raises(InvalidArgumentException, match=reason):
            await collect(source.chunks())


async def test_a_file_closed_meanwhile_is_refused_and_of_unknown_size(tmp_path):
    with on_disk(tmp_path).open("rb") as file:
        source = open_source(file)
    assert await source.size() is None
    with pytest.raises(InvalidArgumentException, match="closed file"):
        await collect(source.chunks())


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No such file"), (".", "Is a directory"), ("a\0b", "null"), ("x" * 300, "too long")],
    ids=["missing", "directory", "nul", "too-long"],
)
async def test_a_path_that_cannot_be_read_is_named(name, reason, tmp_path):
    with pytest.raises(InvalidArgumentException, match=reason) as refused:
        await collect(open_source(tmp_path / name).chunks())
    assert str(tmp_path) in str(refused.value)
    assert "\0" not in str(refused.value)


async def test_a_path_deleted_before_it_is_opened_is_refused(tmp_path):
    path = on_disk(tmp_path)
    source = open_source(path)
    assert await source.size() == len(DATA)
    path.unlink()
    for ask in (source.size, lambda: collect(source.chunks())):
        with pytest.raises(InvalidArgumentException, match="No such file"):
            await ask()


async def test_a_path_that_fails_while_it_is_read_is_refused():
    with pytest.raises(InvalidArgumentException, match="Input/output error"):
        await collect(open_source(Path("/proc/self/mem")).chunks())


async def test_a_path_is_closed_when_the_read_is_cancelled(tmp_path):
    chunks = open_source(on_disk(tmp_path)).chunks()
    task = asyncio.create_task(collect(chunks))
    await asyncio.sleep(0)  # it is opening the file now; an unclosed one is a ResourceWarning, which fails the test
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("how", ["sync", "stream"])
@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_a_generator_is_closed_when_it_is_left(how, steps):
    closing = Closing(b"a", b"b", b"c")
    async with aclosing(open_source(getattr(closing, how)()).chunks()) as chunks:
        for _ in range(steps):
            await anext(chunks)
        assert not closing.closed
    assert closing.closed is (steps > 0)


@pytest.mark.parametrize("make", ["iter", "aiter"])
async def test_a_generator_that_an_iterable_makes_is_closed_too(make):
    closing = Closing(b"a", b"b")

    class Makes:
        if make == "iter":
            __iter__ = staticmethod(closing.sync)
        else:
            __aiter__ = staticmethod(closing.stream)

    async with aclosing(open_source(Makes()).chunks()) as chunks:
        assert await anext(chunks) == b"a"
    assert closing.closed


async def test_blocking_generators_run_in_threads_with_their_clean_up():
    threads = set()

    def generate():
        try:
            threads.add(threading.get_ident())
            yield b"a"
        finally:
            threads.add(threading.get_ident())

    await collect(open_source(generate()).chunks())
    async with aclosing(open_source(generate()).chunks()) as chunks:
        await anext(chunks)
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("kind", ["generator", "async", "file", "async-file"])
async def test_what_the_source_raises_comes_through(kind):
    def generate():
        yield b"a"
        raise LookupError("mine")

    class Broken:
        def read(self, size):
            raise LookupError("mine")

    class AsyncBroken:
        async def read(self, size):
            raise LookupError("mine")

    sources = {
        "generator": generate(),
        "async": stream(b"a", LookupError("mine")),
        "file": Broken(),
        "async-file": AsyncBroken(),
    }
    with pytest.raises(LookupError, match="mine"):
        await collect(open_source(sources[kind]).chunks())


async def test_a_read_that_runs_out_of_items_does_not_wait_forever():
    items = iter([b"a"])
    file = OnlyReads()
    file.read = lambda _size: next(items)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await collect(open_source(file).chunks())


async def test_a_bytearray_may_be_short_lived():
    data = bytearray(b"abc")
    source = open_source(data)
    assert await collect(source.chunks()) == b"abc"
    del source
    data += b"d"  # no view of it is left that would forbid this
