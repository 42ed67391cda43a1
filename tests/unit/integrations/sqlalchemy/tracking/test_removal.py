"""Removal of files, and the events and log lines about those that stay."""

import pytest

from async_storages import MemoryStorage, StorageUnavailableException, StoredFile, registry
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking.removal import remove_files, report_kept


class FailingStorage(MemoryStorage):
    async def delete(self, name):
        if "bad" in str(name):
            raise StorageUnavailableException("no server", operation="delete", file_id=str(name))
        await super().delete(name)


@pytest.fixture
def storage():
    with registry.override("default", FailingStorage()) as storage:
        yield storage


async def saved(storage, name):
    return TrackedFile.of(StoredFile(await storage.upload(b"", name), storage))


async def test_files_are_removed_and_a_failure_is_logged(storage, caplog):
    good, bad = await saved(storage, "good"), await saved(storage, "bad")
    await remove_files([bad, good], concurrency=1)
    assert [await storage.exists(each.file_id) for each in (good, bad)] == [False, True]
    [record] = caplog.records
    assert "a file that nothing names is left" in record.getMessage()
    assert "StorageUnavailableException" in record.getMessage()


def test_kept_files_are_reported(caplog):
    report_kept([TrackedFile.of(StoredFile("nosuch:a"))], "nobody knows")
    assert [record.getMessage() for record in caplog.records] == [
        "a file that may be unreferenced stays, as nobody knows: 'nosuch:a'"
    ]
