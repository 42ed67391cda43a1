"""What a file object remembers of its upload."""

from async_storages import MemoryStorage, StoredFile, StoredImage
from async_storages.files import new_file_state_of, storage_ref_of


async def test_a_file_that_save_made_has_a_state_that_its_other_objects_share():
    stored = await MemoryStorage().save(b"hello", "a.txt")
    state = new_file_state_of(stored)
    assert (state.is_kept, state.is_gone) == (False, False)
    assert new_file_state_of(StoredImage.of(stored)) is state


def test_a_file_that_was_not_made_here_has_none():
    assert new_file_state_of(StoredFile("mem:a.txt")) is None


def test_the_way_to_the_storage_is_kept_as_it_was_given():
    storage = MemoryStorage()
    for ref in (None, "documents", storage):
        assert storage_ref_of(StoredFile("mem:a.txt", ref)) is ref
