"""Files that open transactions of this process name."""

import pytest

from async_storages import StoredFile
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.files_in_use import PendingLookup

FILE, OTHER = (TrackedFile.of(StoredFile(f"mem:{name}")) for name in ("one", "other"))


class Transaction:
    """A holder of all files."""


@pytest.fixture(autouse=True)
def _nothing_in_use():
    yield
    files_in_use.forget_all_files()


def removed(*files):
    """The files that may be removed now, and are."""
    begun = files_in_use.begin_removal(files)
    files_in_use.end_removal(begun)
    return begun


def test_a_held_file_is_left_to_its_last_holder():
    files_in_use.hold(FILE)
    files_in_use.hold(FILE)
    assert removed(FILE, OTHER) == [OTHER]
    assert files_in_use.release([FILE]) == []
    assert files_in_use.release([FILE]) == [FILE]
    assert removed(FILE) == [FILE]


def test_a_file_that_nobody_wanted_to_remove_is_not_handed_over():
    files_in_use.hold(FILE)
    assert files_in_use.release([FILE]) == []


def test_no_file_is_removed_while_a_transaction_names_unknown_ones():
    transaction = Transaction()
    files_in_use.hold_all_files(transaction)
    assert removed(FILE) == []
    assert files_in_use.release_all_files(transaction) == [FILE]
    assert removed(FILE) == [FILE]


def test_a_file_that_another_transaction_holds_stays_when_all_are_released():
    transaction = Transaction()
    files_in_use.hold(FILE)
    files_in_use.hold_all_files(transaction)
    removed(FILE)
    assert files_in_use.release_all_files(transaction) == []
    assert files_in_use.release([FILE]) == [FILE]


def test_the_garbage_collector_ends_a_hold_of_all_files():
    transaction = Transaction()
    files_in_use.hold_all_files(transaction)
    del transaction
    assert removed(FILE) == [FILE]


@pytest.mark.parametrize(
    "begin", [lambda owner: files_in_use.hold(FILE), files_in_use.hold_all_files], ids=["one", "all"]
)
def test_a_pending_lookup_sees_who_begins_to_name_its_files(begin):
    owner = Transaction()
    lookup = PendingLookup([FILE])
    begin(owner)
    assert lookup.named_meanwhile == {FILE}


def test_a_pending_lookup_ignores_other_files():
    lookup = PendingLookup([FILE])
    files_in_use.hold(OTHER)
    assert lookup.named_meanwhile == set()


def test_a_file_is_being_removed_until_it_is_gone():
    assert not files_in_use.is_being_removed(FILE)
    begun = files_in_use.begin_removal([FILE])
    assert files_in_use.is_being_removed(FILE)
    files_in_use.end_removal(begun)
    assert not files_in_use.is_being_removed(FILE)
    assert files_in_use.has_been_removed(FILE)


def test_files_in_use():
    files_in_use.hold(FILE)
    files_in_use.begin_removal([OTHER])
    assert files_in_use.files_in_use() == {FILE, OTHER}
