"""Alembic projects."""

import sys

import pytest

from async_storages import MemoryStorage, registry
from tests.support.migrations import Project


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """Alembic's commands extend `sys.path`, and its env.py configures logging, for the process that they end with."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("logging.config.fileConfig", lambda *args, **options: None)


@pytest.fixture
def storage():
    with registry.override("documents", MemoryStorage()) as storage:
        yield storage


@pytest.fixture
def project(tmp_path, database_url):
    """Make a project on the database."""
    return lambda template, metadata, *written: Project(tmp_path, template, database_url, metadata, *written)
