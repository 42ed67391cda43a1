"""The identity of a file for transactions."""

from async_storages import LocalStorage, StoredFile
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile


def test_two_spellings_of_one_file_are_equal(storage):
    bare, full = (TrackedFile.of(StoredFile(name, storage)) for name in ("a.txt", "mem:a.txt"))
    assert (bare, hash(bare), bare.file_id) == (full, hash(full), "mem:a.txt")


def test_files_of_one_id_in_two_folders_differ(tmp_path):
    one, other = (TrackedFile.of(StoredFile("a.txt", LocalStorage(tmp_path / name))) for name in ("one", "other"))
    assert one.file_id == other.file_id
    assert one != other


def test_a_file_of_an_unknown_storage_has_no_address():
    file = TrackedFile.of(StoredFile("nosuch:a.txt"))
    assert (file.file_id, file.address) == ("nosuch:a.txt", None)
