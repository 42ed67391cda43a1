"""`fill_facts`: facts for rows that were written before their table had columns for them."""

from hashlib import sha256

import pytest
from sqlalchemy import Column, Integer, String, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from async_storages import InvalidArgumentException, StorageUnavailableException, events
from async_storages.integrations.sqlalchemy import FileType, ImageType, fill_facts
from tests.integration.sqlalchemy.test_fact_columns import NAMES, PNG, fact_columns
from tests.support.documents import row_class


@pytest.fixture
def photo():
    return row_class(file=Column(ImageType("documents", width="width", height="height", **NAMES)), **fact_columns())


@pytest.fixture
async def old_rows(engine, create, photo, storage):
    """Insert rows with files, as they were before the columns were added."""
    await create(photo)

    async def insert(*keys, content=PNG):
        async with engine.begin() as connection:
            for number, key in enumerate(keys, 1):
                await storage.upload(content, key)
                await connection.execute(photo.__table__.insert().values(id=number, file=f"mem:{key}"))

    return insert


async def rows(engine, photo):
    async with AsyncSession(engine) as session:
        columns = photo.file_size, photo.file_type, photo.file_name, photo.file_hash, photo.width, photo.height
        return [tuple(row) for row in await session.execute(select(*columns).order_by(photo.id))]


def facts(name, content=PNG):
    return len(content), "image/png", name, sha256(content).hexdigest(), 5, 7


async def test_old_rows_are_filled_batch_by_batch(engine, photo, old_rows):
    await old_rows(*(f"{n}.png" for n in range(7)))
    seen = []
    done = await fill_facts(engine, photo.file, batch=3, on_progress=lambda done: seen.append((done.rows, done.filled)))
    assert (done.rows, done.filled, done.missing, done.failed) == (7, 7, (), {})
    assert seen == [(3, 3), (6, 6), (7, 7)]
    assert await rows(engine, photo) == [facts(f"{n}.png") for n in range(7)]


async def test_a_second_run_has_nothing_to_do(engine, photo, old_rows):
    await old_rows("a.png", "b.png")
    await fill_facts(engine, photo.file)
    assert (await fill_facts(engine, photo.file)).rows == 0
    assert (await fill_facts(engine, photo.file, every=True)).rows == 2


async def test_values_that_are_there_stay(engine, photo, old_rows):
    await old_rows("a.png")
    async with engine.begin() as connection:
        await connection.execute(update(photo).values(file_name="by hand.png"))
    await fill_facts(engine, photo.file)
    assert await rows(engine, photo) == [facts("by hand.png")]
    await fill_facts(engine, photo.file, every=True)
    assert await rows(engine, photo) == [facts("a.png")]


async def test_a_file_is_not_read_for_what_its_row_tells(engine, photo, old_rows, monkeypatch):
    await old_rows("a.png")
    await fill_facts(engine, photo.file)
    async with engine.begin() as connection:
        await connection.execute(update(photo).values(file_name=None))
    asked = []
    monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
    assert (await fill_facts(engine, photo.file)).filled == 1
    assert asked == ["stat"]


async def test_missing_files_are_named_and_their_rows_stay(engine, photo, old_rows, storage):
    await old_rows("a.png", "b.png")
    await storage.delete("a.png")
    done = await fill_facts(engine, photo.file)
    assert (done.rows, done.filled, done.missing) == (2, 1, ("mem:a.png",))
    assert await rows(engine, photo) == [(None,) * 6, facts("b.png")]


async def test_a_storage_in_trouble_is_named(engine, photo, old_rows, storage, monkeypatch):
    await old_rows("a.png", "b.png")
    stat = storage.stat

    async def failing(name):
        if "a.png" in str(name):
            raise StorageUnavailableException("503", file_id=str(name))
        return await stat(name)

    monkeypatch.setattr(storage, "stat", failing)
    done = await fill_facts(engine, photo.file)
    assert done.filled == 1
    assert list(done.failed) == ["mem:a.png"]
    assert "503" in done.failed["mem:a.png"]


async def test_a_row_whose_file_was_replaced_meanwhile_stays(engine, photo, old_rows, storage, monkeypatch):
    await old_rows("a.png")
    stat = storage.stat

    async def replacing(name):
        found = await stat(name)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE rows SET file = 'mem:b.png' WHERE id = 1"))
        return found

    monkeypatch.setattr(storage, "stat", replacing)
    await fill_facts(engine, photo.file)
    assert await rows(engine, photo) == [(None,) * 6]


async def test_a_damaged_image_has_no_dimensions(engine, photo, old_rows):
    await old_rows("a.png", content=PNG[:20])
    done = await fill_facts(engine, photo.file)
    assert (done.filled, done.failed) == (1, {})
    [found] = await rows(engine, photo)
    assert found[0] == 20
    assert found[4:] == (None, None)


async def test_keys_of_several_columns(engine, create, storage):
    class_ = row_class(
        name=Column(String(20), primary_key=True),
        file=Column(FileType("documents", size="file_size")),
        file_size=Column(Integer),
    )
    await create(class_)
    await storage.upload(b"four", "a.txt")
    async with engine.begin() as connection:
        for number, name in [(1, "a"), (1, "b"), (2, "a")]:
            await connection.execute(class_.__table__.insert().values(id=number, name=name, file="mem:a.txt"))
    assert (await fill_facts(engine, class_.file, batch=1)).filled == 3


async def test_what_has_no_facts_is_refused(engine):
    class_ = row_class(file=Column(FileType("documents")), title=Column(String(20)))
    with pytest.raises(InvalidArgumentException, match=r"Row.file has no columns for facts: name some by size="):
        await fill_facts(engine, class_.file)
    with pytest.raises(InvalidArgumentException, match=r"such as Document.file, not Row.title"):
        await fill_facts(engine, class_.title)
    with pytest.raises(InvalidArgumentException, match=r"such as Document.file, not file"):
        await fill_facts(engine, "file")
