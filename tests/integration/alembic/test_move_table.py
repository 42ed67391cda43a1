"""The table of file moves in migrations."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from async_storages.integrations.sqlalchemy import FileType, add_move_table
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`


def documents(*, is_moving):
    metadata = MetaData()
    Table("documents", metadata, Column("id", Integer, primary_key=True), Column("file", FileType()))
    if is_moving:
        add_move_table(metadata)
    return metadata


@pytest.mark.parametrize("configure", ["", "async_storages_render='class'"], ids=["plain", "class"])
def test_the_table_comes_and_goes_with_the_metadata(project, configure):
    project = project("generic", documents(is_moving=True), configure)
    project.migrate()
    assert project.tables() == {"documents", "file_moves"}
    assert project.differences() == []
    project.metadata = documents(is_moving=False)
    project.migrate()
    assert project.tables() == {"documents"}
    project.run("downgrade", "-1")
    project.metadata = documents(is_moving=True)
    assert project.differences() == []
