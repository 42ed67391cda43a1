"""The storages of the models in tests/support/documents.py."""

import pytest

from async_storages import MemoryStorage, registry


@pytest.fixture(autouse=True)
def storage():
    with registry.override("documents", MemoryStorage()) as documents, registry.override("archive", MemoryStorage()):
        yield documents
