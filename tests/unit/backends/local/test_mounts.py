"""Another file system below a folder's root: files appear there as everywhere, in one step."""

import asyncio
import errno
import os
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from async_storages import InvalidArgumentException, LocalStorage, StorageException, StorageOperationException
from async_storages.testing.contract.processes import in_child
from tests.unit.backends.conftest import before_changes, failing_from

KEY = "mount/folder/a.txt"
OLD, NEW = b"old", b"NEW"


@pytest.fixture(params=["by the system", "simulated"])
def mounted(tmp_path, request, monkeypatch):
    """A root with another file system below it, at `mount`: a real one where this user may mount it."""
    folder = tmp_path / "root" / "mount"
    folder.mkdir(parents=True)
    is_mounted = request.param == "by the system" and _run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder)
    if not is_mounted:
        monkeypatch.setattr(os, "replace", partial(_replace, os.replace, folder))
    yield folder.parent
    if is_mounted:
        _run("umount", "--lazy", folder)


def _run(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _replace(real, folder, source, target):
    if (folder in source.parents) != (folder in target.parents):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    real(source, target)


@pytest.fixture(params=[False, True], ids=["plain", "fsync"])
def storage(mounted, request):
    return LocalStorage(mounted, fsync=request.param)


def on_the_mount(storage):
    return sorted(str(path.relative_to(storage.root)) for path in (storage.root / "mount").rglob("*"))


def drafts(storage):
    return [*(storage.root / ".async_storages" / "drafts").glob("*")]


async def put(storage, content=OLD, key=KEY):
    await storage.upload(content, key, content_type="text/x-own", metadata={"a": "b"})


async def test_files_are_written_read_listed_copied_and_removed(storage):
    await put(storage)
    await put(storage, NEW)
    await storage.upload(b"here", "here.txt")
    await storage.copy(KEY, "copy.txt")
    await storage.copy("here.txt", "mount/copy.txt")
    info = await storage.stat(KEY)
    assert (await storage.read(KEY), info.content_type, info.metadata) == (NEW, "text/x-own", {"a": "b"})
    assert [found.file_id async for found in storage.list()] == [
        *("file:copy.txt", "file:here.txt", "file:mount/copy.txt"),
        f"file:{KEY}",
    ]
    assert await storage.read("copy.txt") == NEW
    assert on_the_mount(storage) == ["mount/copy.txt", "mount/folder", KEY]
    for key in (KEY, "mount/copy.txt"):
        await storage.delete(key)
    assert on_the_mount(storage) == []
    assert drafts(storage) == []


async def test_a_large_file_arrives_whole(storage):
    content = os.urandom(3 << 20)
    await storage.upload(content, KEY)
    assert await storage.read(KEY) == content


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
async def test_whichever_system_call_fails_nothing_is_left(storage, code):
    for number in count():
        with failing_from(number, code, how_many=1) as failed:
            try:
                await put(storage)
                error = None
            except StorageException as raised:
                error = raised
        if error is not None:
            assert type(error) is StorageOperationException
            assert on_the_mount(storage) in ([], ["mount/folder", KEY] if failed == ["fsync"] else [])
        assert drafts(storage) == []
        await storage.delete(KEY)
        if not failed:
            break
    assert number > 5


async def test_killed_at_any_system_call_the_old_file_or_the_new_one_is_there(storage):
    async def change_and_die(number):
        calls = count()

        def kill(_name):
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        with before_changes(kill):
            await put(storage, NEW)

    for number in count():
        await put(storage)
        report = await asyncio.to_thread(in_child, partial(change_and_die, number))
        assert await storage.read(KEY) in (OLD, NEW)
        assert [found.file_id async for found in storage.list()] == [f"file:{KEY}"]
        if not report:
            break
    assert number > 5


async def test_a_full_mount_keeps_the_old_file(storage):
    await put(storage)
    before = on_the_mount(storage)
    with suppress(StorageOperationException):
        await storage.upload(bytes(5 << 20), KEY)
        await put(storage)  # where the mount is simulated there is room
    assert on_the_mount(storage) == before
    assert await storage.read(KEY) == OLD


async def test_what_killed_processes_left_is_swept_a_day_later(storage):
    await put(storage)
    old, young, file = (
        storage.root / "mount" / "folder" / name
        for name in (f".async_storages-{'a' * 32}", f".async_storages-{'b' * 32}", ".async_storages-own")
    )
    for path in (old, young, file):
        path.write_bytes(b"left")
        os.utime(path, (time.time() - 90_000,) * 2)
    os.utime(young)
    await put(storage, NEW)
    assert on_the_mount(storage) == sorted(
        ["mount/folder", KEY, *(str(path.relative_to(storage.root)) for path in (young, file))]
    )


@pytest.mark.parametrize("name", [f".async_storages-{'a' * 32}", f".ASYNC_STORAGES-{'A' * 32}"])
async def test_no_key_has_the_name_of_a_draft(storage, name):
    with pytest.raises(InvalidArgumentException):
        await storage.upload(b"x", f"mount/{name}")
    with pytest.raises(InvalidArgumentException, match="unfinished files"):
        await storage.read(name)
