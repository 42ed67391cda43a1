"""Checks that files are there, before rows name them."""

import pytest

from async_storages import FileGoneException, StoredFile
from async_storages.files import new_file_state_of
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.reference_writer import require_available, require_existing


@pytest.fixture
async def stored(storage):
    return StoredFile(str(await storage.upload(b"", "there.txt")), "documents")


def test_files_that_nobody_removes_are_not_asked_for():
    require_available([StoredFile("nosuch:a")])


def test_a_file_that_is_being_removed_is_refused(stored):
    begun = files_in_use.begin_removal([TrackedFile.of(stored)])
    with pytest.raises(FileGoneException, match="is being removed"):
        require_available([stored])
    files_in_use.end_removal(begun)
    require_available([stored])  # another file of that id is there


def test_a_new_file_whose_transaction_was_rolled_back_is_refused():
    stored = StoredFile("mem:a")
    stored.remember(is_new=True)
    new_file_state_of(stored).is_gone = True
    with pytest.raises(FileGoneException, match="was rolled back"):
        require_available([stored])


def test_missing_files_are_refused(stored):
    require_existing([stored])
    with pytest.raises(FileGoneException, match="no such file") as refused:
        require_existing([stored, StoredFile("mem:missing", "documents")])
    assert refused.value.file_id == "mem:missing"
