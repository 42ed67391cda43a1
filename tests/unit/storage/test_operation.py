"""What `Storage.operation` does for the body of every operation."""

import pytest

from async_storages import (
    AccessDeniedException,
    DeleteNotSupportedException,
    InvalidArgumentException,
    MemoryStorage,
    StorageClosedException,
    StorageOperationException,
    events,
)


@pytest.fixture
def seen(monkeypatch):
    seen = []
    monkeypatch.setattr(events, "hooks", [seen.append])
    return seen


def test_the_file_is_identified_and_the_event_emitted(seen):
    with MemoryStorage().operation("stat", "a.txt") as operation:
        assert str(operation.file) == "mem:a.txt"
        operation.bytes = 5
    [event] = seen
    assert (event.operation, event.scheme, event.bytes, event.outcome) == ("stat", "mem", 5, "ok")


def test_errors_of_the_body_name_operation_and_id(seen):
    with (
        pytest.raises(StorageOperationException, match=r"^stat 'mem:a.txt': the disk is full$"),
        MemoryStorage().operation("stat", "a.txt"),
    ):
        raise StorageOperationException("the disk is full")
    assert [event.outcome for event in seen] == ["StorageOperationException"]


@pytest.mark.parametrize(("name", "error"), [("write", AccessDeniedException), ("delete", DeleteNotSupportedException)])
def test_a_read_only_storage_refuses_changes(seen, name, error):
    with pytest.raises(error), MemoryStorage(read_only=True).operation(name, "a.txt"):
        pytest.fail("the body ran")
    assert [event.outcome for event in seen] == [error.__name__]


async def test_a_closed_storage_refuses_everything():
    storage = MemoryStorage()
    await storage.aclose()
    with pytest.raises(StorageClosedException), storage.operation("list"):
        pytest.fail("the body ran")


def test_a_bad_name_is_refused_before_the_body():
    with (
        pytest.raises(InvalidArgumentException, match=r"stat 'mem:a/../b'"),
        MemoryStorage().operation("stat", "a/../b"),
    ):
        pytest.fail("the body ran")


def test_its_name_with_an_underscore_warns():
    with pytest.warns(DeprecationWarning, match=r"Storage\.operation"):
        MemoryStorage()._operation("stat", "a.txt")
