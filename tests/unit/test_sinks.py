import asyncio
import io
import os
import resource
import stat
import tempfile
from pathlib import Path

import aiofiles
import pytest

from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageOperationException
from async_storages.sinks import write_to
from tests.support.streams import Closing, stream, type_name

CHUNKS = (b"a" * 300_000, b"", b"b")
DATA = b"".join(CHUNKS)


class AsyncTarget:
    def __init__(self):
        self.written = b""

    async def write(self, data):
        self.written += data


class Failing(io.BytesIO):
    def write(self, data):
        raise LookupError("mine")


class FullDisk(io.BytesIO):
    def write(self, data):
        return super().write(data[:10])


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.fixture
def small_disk():
    """No file can grow beyond 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def there(folder):
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_path_gets_the_whole_stream_and_nothing_beside_it(tmp_path):
    path = tmp_path / ("x" * 255)  # no name is longer, so none is derived from it
    assert await write_to(stream(*CHUNKS), path) == len(DATA)
    assert there(tmp_path) == {path.name: DATA}


async def test_an_empty_stream_makes_an_empty_file(tmp_path):
    assert await write_to(stream(), tmp_path / "a") == 0
    assert (tmp_path / "a").read_bytes() == b""


async def test_a_path_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await write_to(stream(b"abc"), Path("a"))
    assert (tmp_path / "a").read_bytes() == b"abc"


async def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path, umask):
    await write_to(stream(b"abc"), tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


async def test_a_file_is_replaced_in_one_step_at_the_end(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"before")

    async def watched():
        yield b"new "
        assert await asyncio.to_thread(path.read_bytes) == b"before"
        yield b"content"

    await write_to(watched(), path)
    assert path.read_bytes() == b"new content"


@pytest.mark.parametrize(
    "error", [LookupError("mine"), FileNotFoundException("gone"), asyncio.CancelledError()], ids=type_name
)
@pytest.mark.parametrize("chunks", [(), (b"half",), CHUNKS], ids=["at-once", "soon", "late"])
async def test_a_stream_that_breaks_leaves_what_was_there(error, chunks, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with pytest.raises(type(error)) as raised:
        await write_to(stream(*chunks, error), path)
    assert raised.value is error
    assert there(tmp_path) == {"a": b"before"}


@pytest.mark.parametrize("turns", range(8))
async def test_a_download_cancelled_at_any_moment_leaves_all_or_nothing(turns, tmp_path):
    closing = Closing(*CHUNKS)
    task = asyncio.create_task(write_to(closing.stream(), tmp_path / "a"))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert there(tmp_path) in ({}, {"a": DATA})


async def test_a_download_cancelled_while_its_file_is_created_leaves_nothing(tmp_path):
    task = asyncio.create_task(write_to(stream(*CHUNKS), tmp_path / "a"))
    await asyncio.sleep(0)  # a thread is creating the file now
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert there(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "directory"),
        (".", "directory"),
        ("missing/a", "No such file"),
        ("file/a", "Not a directory"),
        ("a\0", "null"),
        ("x" * 256, "long"),
    ],
    ids=["folder", "dot", "missing-folder", "file-as-folder", "nul", "too-long"],
)
async def test_a_path_that_cannot_be_written_is_refused_before_anything_is_read(name, reason, tmp_path):
    (tmp_path / "file").touch()
    closing = Closing(b"never")
    with pytest.raises(InvalidArgumentException, match=reason) as refused:
        await write_to(closing.stream(), tmp_path / name)
    assert str(tmp_path) in str(refused.value)
    assert "\0" not in str(refused.value)
    assert there(tmp_path) == {"file": b""}


async def test_the_root_cannot_be_written():
    with pytest.raises(InvalidArgumentException, match="directory"):
        await write_to(stream(b"never"), Path("/"))


async def test_a_disk_that_is_full_halfway_leaves_what_was_there(tmp_path, small_disk):
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(InvalidArgumentException, match=r"cannot write .*too large"):
        await write_to(stream(*CHUNKS), tmp_path / "a")
    assert there(tmp_path) == {"a": b"before"}


async def test_a_link_is_replaced_and_what_it_points_to_is_not(tmp_path):
    (tmp_path / "target").write_bytes(b"before")
    (tmp_path / "link").symlink_to("target")
    await write_to(stream(b"new"), tmp_path / "link")
    assert (tmp_path / "link").read_bytes() == b"new"
    assert (tmp_path / "target").read_bytes() == b"before"


async def test_binary_files_of_every_kind_get_the_bytes_and_stay_open(tmp_path):
    with (
        (tmp_path / "a").open("wb") as buffered,
        (tmp_path / "b").open("wb", buffering=0) as raw,
        tempfile.SpooledTemporaryFile(10) as spooled,
    ):
        for file in (io.BytesIO(), buffered, raw, spooled):
            assert await write_to(stream(*CHUNKS), file) == len(DATA)
            assert file.tell() == len(DATA)
            assert not file.closed


async def test_asynchronous_files_get_the_bytes(tmp_path):
    target = AsyncTarget()
    assert await write_to(stream(*CHUNKS), target) == len(DATA)
    assert target.written == DATA
    async with aiofiles.open(tmp_path / "a", "wb") as file:
        assert await write_to(stream(*CHUNKS), file) == len(DATA)
        assert not file.closed
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("target", ["/tmp/a", b"/tmp/a", None, 7, io.StringIO(), []], ids=type_name)
async def test_what_takes_no_bytes_is_refused(target):
    with pytest.raises(InvalidArgumentException, match=f"cannot write to a {type(target).__name__}"):
        await write_to(stream(b"never"), target)


async def test_a_target_that_takes_only_a_part_is_an_error():
    with pytest.raises(StorageOperationException, match="only 10 of 300000 bytes"):
        await write_to(stream(*CHUNKS), FullDisk())


@pytest.mark.parametrize("target", [Failing(), FullDisk(), io.StringIO(), None, "folder"], ids=type_name)
async def test_the_stream_is_closed_whatever_the_target_does(target, tmp_path):
    closing = Closing(b"a" * 100, b"b" * 100)
    chunks = closing.stream()
    await anext(chunks)
    with pytest.raises((LookupError, InvalidArgumentException, StorageOperationException)):
        await write_to(chunks, tmp_path if target == "folder" else target)
    assert closing.closed
