"""What a status of a storage server becomes."""

import pytest

from async_storages.backends.fastdfs.statuses import ProtocolError, Refusal
from async_storages.errors import (
    AccessDeniedException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

ERRORS = {
    1: AccessDeniedException,
    2: FileNotFoundException,
    4: StorageUnavailableException,
    5: StorageOperationException,
    11: StorageUnavailableException,
    12: StorageUnavailableException,
    13: AccessDeniedException,
    16: StorageUnavailableException,
    17: FileExistsException,
    22: InvalidArgumentException,
    28: StorageOperationException,
    110: StorageUnavailableException,
    114: StorageUnavailableException,
    255: StorageOperationException,
}


@pytest.mark.parametrize(("status", "kind"), ERRORS.items(), ids=map(str, ERRORS))
def test_each_has_its_error_which_names_it(status, kind):
    error = Refusal(status).error()
    assert type(error) is kind
    assert f"(status {status}: " in error.reason


def test_a_full_disk_says_so():
    assert Refusal(28).error().reason.startswith("no space is left on the storage server")


@pytest.mark.parametrize("status", range(1, 256))
def test_every_status_is_some_error(status):
    assert isinstance(Refusal(status).error(), StorageException)


def test_strange_replies_are_failures_that_are_not_tried_again():
    assert issubclass(ProtocolError, StorageOperationException)
    assert not issubclass(ProtocolError, StorageUnavailableException)
