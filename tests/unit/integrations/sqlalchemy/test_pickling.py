"""MetaData with live storages, pickled: by name, never with what the storage holds."""

import pickle
import threading

import pytest
from sqlalchemy import Column, MetaData, Table

from async_storages import LocalStorage, MemoryStorage, registry
from async_storages.integrations.sqlalchemy import FileType


def pickled(storage):
    table = Table("documents", MetaData(), Column("file", FileType(storage)), Column("image", FileType(storage)))
    return pickle.dumps(table.metadata)


def test_metadata_with_a_live_storage_is_pickled_without_it(tmp_path):
    data = pickled(LocalStorage(tmp_path, base_url="https://example.com", secret_key="s3cret"))
    assert b"s3cret" not in data


def test_a_storage_that_cannot_be_pickled_does_not_matter():
    storage = MemoryStorage()
    storage.lock = threading.Lock()
    loaded = pickle.loads(pickled(storage))
    assert "file" in loaded.tables["documents"].c


def test_a_named_storage_is_found_again_by_its_name(tmp_path):
    storage = LocalStorage(tmp_path, name="pickled")
    try:
        loaded = pickle.loads(pickled(storage)).tables["documents"].c.file.type
        assert loaded.coerce("a.txt").storage is storage
    finally:
        registry.unregister("pickled")


def test_an_unnamed_one_is_found_by_its_address_and_never_taken_for_another_folder(tmp_path):
    storage, other = LocalStorage(tmp_path / "here"), LocalStorage(tmp_path / "there")
    loaded = pickle.loads(pickled(storage)).tables["documents"].c.file.type
    with registry.override("default", other):
        file = loaded.process_result_value("file:a.txt", None)
        with pytest.raises(registry.RouteNotSupportedException):
            _ = file.storage
        with registry.override("here", storage):
            assert file.storage is storage


def test_an_unnamed_one_can_be_set_again(tmp_path):
    storage = LocalStorage(tmp_path)
    loaded = pickle.loads(pickled(storage)).tables["documents"].c.file.type
    loaded.storage = storage
    assert loaded.coerce("a.txt").storage is storage
