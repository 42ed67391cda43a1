"""The scenarios of tests/integration/transactions, with plain Sessions in threads."""

import asyncio

import pytest

from tests.integration.transactions import test_scenarios
from tests.integration.transactions.test_scenarios import *  # noqa: F403 - its tests are collected here again
from tests.support.plain_sessions import PlainConnection

pytestmark = pytest.mark.matrix


class TestUploads(test_scenarios.TestUploads):
    test_cancelled = test_cancelled_at_commit = None  # a thread is not cancelled


class TestBulkStatements(test_scenarios.TestBulkStatements):
    test_a_session_that_reads_elsewhere = None  # it brings its own AsyncEngine


class TestOuterTransaction(test_scenarios.TestOuterTransaction):
    @pytest.fixture
    async def connection(self, plain_engine):
        connection = await asyncio.to_thread(plain_engine.connect)
        yield PlainConnection(connection)
        await asyncio.to_thread(connection.close)
