"""What holds however a write ends: a full disk, a failing system call, a killed process, two processes at once."""

import asyncio
import errno
import fcntl
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from async_storages import (
    AccessDeniedException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    LocalStorage,
    StorageException,
    StorageOperationException,
)
from async_storages.backends.local.folder import Folder
from async_storages.backends.local.sidecars import Descriptions
from async_storages.testing.contract.processes import in_child
from tests.unit.backends.conftest import before_changes, failing_from

OLD = b"old content", ("text/x-old", {"version": "old"})
NEW = b"NEW CONTENT", ("text/x-new", {"version": "new"})  # of the same size, which tells nothing then


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture(params=[False, True], ids=["plain", "fsync"])
def storage(root, request):
    return LocalStorage(root, fsync=request.param)


async def put(storage, version, key="folder/a.txt"):
    content, (content_type, metadata) = version
    await storage.upload(content, key, content_type=content_type, metadata=metadata)


async def seen(storage, key="folder/a.txt"):
    if not await storage.exists(key):
        return None
    info = await storage.stat(key)
    return await storage.read(key), (info.content_type, info.metadata)


def everything(root):
    """All that is below the root but the lock and the empty folders that drafts and descriptions go to."""
    skeleton = {".async_storages", ".async_storages/drafts", ".async_storages/meta", ".async_storages/lock"}
    return {str(path.relative_to(root)) for path in root.rglob("*")} - skeleton


# what is done, the key that changes, what is to be found there before and after
CHANGES = {
    "new file": (lambda storage: put(storage, NEW, "new/new/b.txt"), "new/new/b.txt", None, NEW),
    "new version": (lambda storage: put(storage, NEW), "folder/a.txt", OLD, NEW),
    "copy": (lambda storage: storage.copy("folder/a.txt", "new/b.txt"), "new/b.txt", None, OLD),
    "metadata": (
        lambda storage: storage.set_metadata("folder/a.txt", {"version": "new"}),
        *("folder/a.txt", OLD, (OLD[0], (OLD[1][0], {"version": "new"}))),
    ),
    "delete": (lambda storage: storage.delete("folder/a.txt"), "folder/a.txt", OLD, None),
}
each_change = pytest.mark.parametrize(("change", "key", "before", "after"), CHANGES.values(), ids=CHANGES)

ERRORS = {
    errno.ENOSPC: StorageOperationException,
    errno.EDQUOT: StorageOperationException,
    errno.EIO: StorageOperationException,
    errno.EMFILE: StorageOperationException,
    errno.EROFS: AccessDeniedException,
    errno.EACCES: AccessDeniedException,
    errno.EPERM: AccessDeniedException,
    errno.ENAMETOOLONG: InvalidArgumentException,
}


# ---- failures


@each_change
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
async def test_whichever_system_call_fails_a_failed_change_is_none(root, storage, change, key, before, after, code):
    for number in count():
        await put(storage, OLD)
        files = everything(root)
        with failing_from(number, code, how_many=1) as failed:
            try:
                await change(storage)
                error = None
            except StorageException as raised:
                error = raised
        found = await seen(storage, key)
        if error is None:
            assert found == after
            await storage.delete(key)
        else:
            assert type(error) is StorageOperationException
            assert error.operation
            assert key in error.file_id
            # by then everything is written, and only not known to be safe
            assert found == before or (failed == ["fsync"] and found == after)
            assert everything(root) == files
        if not failed:
            break
    assert number > 0  # calls have failed, each in its turn


@each_change
async def test_a_disk_that_fails_for_good_leaves_no_mixture(storage, change, key, before, after):
    for number in count():
        await put(storage, OLD)
        with failing_from(number, errno.EIO) as failed, suppress(StorageOperationException):
            await change(storage)
        found = await seen(storage, key)
        assert found in (before, after, after and (after[0], ("text/plain", {})))
        await storage.delete(key)
        if not failed:
            break


@pytest.mark.parametrize(("code", "error"), ERRORS.items(), ids=lambda value: errno.errorcode.get(value, ""))
async def test_errors_of_the_system_have_names(storage, code, error):
    with failing_from(0, code), pytest.raises(error) as caught:
        await put(storage, NEW)
    assert caught.value.operation == "write"
    assert caught.value.file_id == "file:folder/a.txt"
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_full_disk(small_disk, root):
    """1 MiB is full long before 4 are written: really, or simulated where no disk can be mounted."""
    storage = LocalStorage(small_disk or root)
    await put(storage, OLD)
    files = everything(storage.root)

    async def fill():
        with pytest.raises(StorageOperationException, match="No space left on device") as caught:
            await storage.upload(bytes(4 << 20), "new/big.bin")
        assert caught.value.http_status == 502
        with pytest.raises(StorageOperationException, match="No space left on device"):
            await storage.upload(bytes(4 << 20), "folder/a.txt")

    if small_disk:
        await fill()
    else:
        with failing_from(4, errno.ENOSPC):
            await fill()

    assert everything(storage.root) == files
    assert await seen(storage) == OLD
    await storage.upload(bytes(1 << 19), "half.bin")  # there is room again


async def test_files_without_inodes(small_disk, storage):
    """A disk can be full of names as well: no folder, draft or description can be made."""
    await put(storage, OLD)
    files = everything(storage.root)
    with failing_from(0, errno.ENOSPC):
        for change, *_ in CHANGES.values():
            if change is not CHANGES["delete"][0]:
                with pytest.raises(StorageOperationException):
                    await change(storage)
    assert everything(storage.root) == files


# ---- killed


def kill_at(number):
    calls = count()

    def kill(_name):
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return before_changes(kill)


@each_change
async def test_killed_at_any_system_call_a_change_has_happened_or_not(storage, change, key, before, after):
    async def change_and_die(number):
        with kill_at(number):
            await change(storage)

    for number in count():
        await put(storage, OLD)
        report = await asyncio.to_thread(in_child, partial(change_and_die, number))
        found = await seen(storage, key)
        assert found in (before, after)
        await storage.delete(key)
        await put(storage, OLD, key)  # nothing that was left is in the way
        assert await seen(storage, key) == OLD
        await storage.delete(key)
        if not report:
            assert found == after
            break
        assert report == f"the child died of {signal.SIGKILL.value}"
    assert number > 1


async def test_killed_in_the_middle_of_the_content(storage, root):
    def content():
        yield bytes(1 << 20)
        os.kill(os.getpid(), signal.SIGKILL)

    await put(storage, OLD)
    for key in ("new/b.bin", "folder/a.txt"):
        assert "died" in await asyncio.to_thread(in_child, lambda key=key: storage.upload(content(), key))
    assert await seen(storage) == OLD
    assert [info.file_id async for info in storage.list()] == ["file:folder/a.txt"]
    assert not (root / "new").exists()


# ---- at once


async def test_two_processes_write_one_key_and_a_third_reads_it(root):
    """Every stat tells one version's size, type and metadata, and every read gives one version."""
    storage = LocalStorage(root)
    versions = {name: (name.encode() * 5000, (f"text/x-{name}", {"version": name})) for name in ("a", "b")}

    async def write(version):
        for _ in range(60):
            await put(storage, version)

    async def look():
        for _ in range(200):
            info = await storage.stat("folder/a.txt")
            assert info.content_type == f"text/x-{info.metadata['version']}"
            assert len(set(await storage.read("folder/a.txt"))) == 1

    await put(storage, versions["a"])
    work = [partial(write, versions["a"]), partial(write, versions["b"]), look]
    assert await asyncio.gather(*(asyncio.to_thread(in_child, main) for main in work)) == ["", "", ""]
    assert await seen(storage) in versions.values()


def test_a_child_forked_while_the_lock_is_held_can_lock(storage):
    """A child has its parent's open files: a lock must be given back, not only be closed."""
    with storage._folder._locked():
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            try:
                asyncio.run(put(storage, NEW))
            finally:
                os._exit(sys.exc_info()[0] is not None)
    assert os.waitpid(child, 0) == (child, 0)


async def test_nobody_writes_while_a_file_is_looked_at(storage, root, monkeypatch):
    """What the file system tells and what is kept beside the file are read as one."""
    others = []

    def find(self, key, found):
        with (root / ".async_storages" / "lock").open() as lock:
            for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
                try:
                    fcntl.flock(lock, kind | fcntl.LOCK_NB)
                    others.append("may")
                except BlockingIOError:
                    others.append("must wait")
        return {}

    await put(storage, OLD)
    # the moment between the two readings, at which nothing outside is called
    monkeypatch.setattr(Descriptions, "find", find)
    await storage.stat("folder/a.txt")
    assert others == ["may", "must wait"]


async def test_three_processes_create_one_key(storage, tmp_path):
    """Of many, exactly one succeeds with `overwrite=False`."""

    async def create():
        for turn in range(20):
            try:
                await storage.upload(b"%d" % os.getpid(), f"{turn}.txt", overwrite=False)
                outcome = "created"
            except FileExistsException:
                outcome = "refused"
            await asyncio.to_thread((tmp_path / f"{outcome} {turn} {os.getpid()}").touch)

    assert set(await asyncio.gather(*(asyncio.to_thread(in_child, create) for _ in range(3)))) == {""}

    for turn in range(20):
        [winner] = tmp_path.glob(f"created {turn} *")
        assert winner.name.endswith((await storage.read(f"{turn}.txt")).decode())
        assert len([*tmp_path.glob(f"refused {turn} *")]) == 2


def test_discarding_a_draft_removes_its_own_file_only(root):
    folder = Folder(root, fsync=False)

    def written(content):
        draft = folder.draft("a.txt", overwrite=True)
        folder.start(draft)
        folder.append(draft, content)
        folder.commit(draft, {})
        return draft

    first, second = written(b"first"), written(b"second")
    folder.discard(first)
    assert (root / "a.txt").read_bytes() == b"second"
    folder.discard(second)  # it replaced a file: that one cannot come back, so the new one stays
    assert (root / "a.txt").read_bytes() == b"second"
    folder.remove("a.txt")

    folder.discard(written(b"third"))
    assert everything(root) == set()


def test_a_draft_that_was_never_opened_can_be_discarded(root):
    folder = Folder(root, fsync=False)
    draft = folder.draft("a.txt", overwrite=True)
    folder.discard(draft)
    assert "a.txt" in repr(draft)
    assert not root.exists()


def test_a_missing_file_is_missing_whatever_is_asked(root):
    folder = Folder(root, fsync=False)
    for ask in (folder.stat, lambda key: folder.describe(key, {})):
        with pytest.raises(FileNotFoundException):
            ask("a.txt")
    folder.remove("a.txt")
    assert list(folder.keys("")) == []
    assert not root.exists()


def test_keys_are_sorted_like_texts_and_a_folder_is_read_when_its_turn_comes(root):
    folder = Folder(root, fsync=False)
    for key in ("a/2.txt", "a-b.txt", "a.txt", "a/1/x.txt", "a0/1.txt", "b/1.txt"):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).touch()
    keys = folder.keys("")
    assert next(keys) == "a-b.txt"
    (root / "b/2.txt").touch()
    rest = list(keys)
    assert rest == sorted(rest) == ["a.txt", "a/1/x.txt", "a/2.txt", "a0/1.txt", "b/1.txt", "b/2.txt"]
