"""Old ids in texts and links keep working: by a storage in the place of the source, and by a map for nginx."""

import pytest

from async_storages import (
    AccessDeniedException,
    DeleteNotSupportedException,
    FileNotFoundException,
    StorageManager,
)
from tests.support.moving import Paper


@pytest.fixture
async def moved(app, papers, move):
    """The old and the new id of a file; the source is empty."""
    await papers("a")
    async with app.sessions() as session:
        old = (await session.get(Paper, 1)).file.file_id
    await move()
    await app.migration.finish()
    async with app.sessions() as session:
        return old, (await session.get(Paper, 1)).file.file_id


async def test_a_manager_finds_what_an_old_id_became(app, moved):
    old, new = moved
    manager = StorageManager.from_storages(app.target, app.migration.moved_files())
    assert await manager.file(old).read() == b"a"
    assert (await manager.info_service.get_file_info(old)).file_id == new
    assert b"".join([chunk async for chunk in manager.file(old).stream(offset=1)]) == b""
    with pytest.raises(FileNotFoundException, match="no file of this id was moved"):
        await manager.file("file:other.txt").read()


async def test_old_ids_are_read_only(app, moved):
    old, _ = moved
    files = app.migration.moved_files()
    with pytest.raises(AccessDeniedException):
        await files.upload(b"x", "x.txt")
    with pytest.raises(DeleteNotSupportedException):
        await files.delete(old)


async def test_the_map_for_nginx(app, papers, move):
    await papers("a b")
    async with app.sessions() as session:
        old = (await session.get(Paper, 1)).file
    await move()
    async with app.sessions() as session:
        new = (await session.get(Paper, 1)).file
    [line] = [line async for line in app.migration.nginx_map("/files/")]
    assert line == f'"/files/{old.name}" "{await new.get_path()}";'
