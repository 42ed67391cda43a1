"""Ids that move, and the keys that they get."""

import pytest

from async_storages import InvalidArgumentException, LocalStorage, MemoryStorage, StorageManager
from async_storages.integrations.sqlalchemy.migration.route import MovingFile, Route, serves
from async_storages.models import FileBasicInfo
from tests.support.fastdfs import FastDFSStorage

FASTDFS_ID = "group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"


@pytest.fixture
def folder(tmp_path):
    return LocalStorage(tmp_path)


@pytest.fixture
def memory():
    return MemoryStorage()


@pytest.fixture
def fastdfs():
    return FastDFSStorage(tracker_servers=["127.0.0.1:22122"])


def file(file_id, filename="a b.txt"):
    return MovingFile(file_id, filename, FileBasicInfo(file_id=file_id, file_name=filename, file_size=1))


def test_an_id_of_fastdfs_is_no_key_of_another_storage(folder, fastdfs):
    assert serves(fastdfs, FASTDFS_ID)
    assert not serves(folder, FASTDFS_ID)
    assert not serves(fastdfs, "file:a.txt")


def test_files_of_the_source_move_and_no_others(folder, memory, fastdfs):
    route = Route(folder, memory, None, None)
    manager = StorageManager.from_storages(memory, folder, fastdfs)
    assert route.moving_id(manager, "file:a.txt") == "file:a.txt"
    assert route.moving_id(folder, "a.txt") == "file:a.txt"
    assert route.moving_id(manager, "mem:a.txt") is None
    assert route.moving_id(manager, FASTDFS_ID) is None
    assert route.moving_id(manager, "gs:bucket/a.txt") is None


def test_of_two_folders_the_inner_one_has_the_id(folder):
    inner = folder.within("new")
    assert not Route(folder, inner, None, None).is_of_source("file:new/a.txt")
    assert Route(folder, inner, None, None).is_of_source("file:a.txt")
    assert Route(inner, folder, "x", None).is_of_source("file:new/a.txt")
    assert not Route(inner, folder, "x", None).is_of_source("file:a.txt")


@pytest.mark.parametrize(
    ("folder_", "expected"), [(None, "reports/2024"), ("", ""), ("archive", "archive"), ("/a//b/", "a/b")]
)
def test_the_folder_of_the_new_key(folder, memory, folder_, expected):
    new = Route(folder, memory, folder_, None).new_key(file("file:reports/2024/0123456789abcdef_a.txt"))
    assert new.key.rpartition("/")[0] == expected
    assert new.key.endswith("_a b.txt")
    assert new.file_id == f"mem:{new.key}"
    assert not new.is_exact


def test_files_of_fastdfs_have_no_folder(fastdfs, memory):
    assert "/" not in Route(fastdfs, memory, None, None).new_key(file(FASTDFS_ID)).key


@pytest.mark.parametrize(("said", "is_exact"), [("x/", False), ("", False), ("x/y.txt", True)])
def test_a_rule(folder, memory, said, is_exact):
    new = Route(folder, memory, None, lambda _: said).new_key(file("file:a.txt"))
    assert new.is_exact is is_exact
    assert new.key.startswith(said)


@pytest.mark.parametrize(
    ("said", "reason"), [("../x.txt", "not a safe key"), (7, "no text"), ("old/x.txt", "one of the source")]
)
def test_a_rule_that_gives_no_key(folder, said, reason):
    route = Route(folder.within("old"), folder, None, lambda _: said)
    with pytest.raises(InvalidArgumentException, match=reason):
        route.new_key(file("file:old/a.txt"))


def test_what_cannot_be_a_route(folder, memory, fastdfs, tmp_path):
    with pytest.raises(InvalidArgumentException, match="have the same ids"):
        Route(folder, LocalStorage(tmp_path / "other"), None, None)
    with pytest.raises(InvalidArgumentException, match="chooses the ids"):
        Route(folder, fastdfs, None, None)
    with pytest.raises(InvalidArgumentException, match="is read-only"):
        Route(folder, MemoryStorage(read_only=True), None, None)
    with pytest.raises(InvalidArgumentException, match="not both"):
        Route(folder, memory, "x", lambda _: "y/")
