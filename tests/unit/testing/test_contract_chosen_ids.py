"""The contract holds for a storage that chooses its ids, with and without presigned URLs."""

import pytest

from tests.support.chosen_ids import ChosenIdsContract, ChosenIdsStorage, served


class TestChosenIdsStorage(ChosenIdsContract):
    @pytest.fixture
    def storage(self):
        return ChosenIdsStorage()


class TestChosenIdsStorageServed(ChosenIdsContract):
    @pytest.fixture
    async def storage(self):
        async with served(ChosenIdsStorage) as storage:
            yield storage
