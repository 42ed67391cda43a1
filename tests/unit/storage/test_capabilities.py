"""What a storage can do is asked for with `isinstance`."""

from async_storages import (
    LocalStorage,
    MemoryStorage,
    SupportsCopy,
    SupportsDirectUpload,
    SupportsFolders,
    SupportsList,
    SupportsMetadata,
    SupportsPartUploads,
    SupportsPing,
    SupportsPresign,
)


def test_capabilities_are_asked_for_by_isinstance(tmp_path):
    both = {SupportsList, SupportsCopy, SupportsMetadata, SupportsFolders}
    every = {*both, SupportsPresign, SupportsDirectUpload, SupportsPartUploads}
    for storage, expected in ((MemoryStorage(), both), (LocalStorage(tmp_path), every)):
        assert {power for power in (*every, SupportsPing) if isinstance(storage, power)} == expected
