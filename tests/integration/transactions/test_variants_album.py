"""An album of 300 images with three variants each on an S3 server: listed without a request, removed without a rest."""

import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import ImagePool, S3Storage, events, file_urls
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from tests.support.ledgers import forget_ledgers, settle
from tests.support.photos import RECIPES, UNUSED, Photo, PhotoBase, keep_in, photo

IMAGES = 300


@pytest.fixture
async def photos(s3_server, s3_bucket):
    """The storage of the columns."""
    credentials = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    async with S3Storage(s3_bucket, endpoint_url=s3_server.endpoint_url, **credentials) as storage:
        keep_in(storage)
        yield storage
    keep_in(UNUSED)
    forget_ledgers(PhotoBase.metadata)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_album_is_uploaded_listed_and_removed(engine, photos, monkeypatch):
    async with engine.begin() as connection:
        await connection.run_sync(PhotoBase.metadata.drop_all)
        await connection.run_sync(PhotoBase.metadata.create_all)
    ledger = FileLedger(engine, PhotoBase.metadata)
    async with ImagePool(workers=2) as pool:
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger, image_pool=pool)
        async with sessions.begin() as session:
            session.add_all(Photo(image=photo()) for _ in range(IMAGES))
    assert await count(photos) == IMAGES * (1 + len(RECIPES))

    asked = []
    async with sessions() as session:
        rows = (await session.scalars(select(Photo))).all()
        monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
        variants = [row.image.variant(name) for row in rows for name in RECIPES]
        urls = await file_urls(variants)
    assert len(urls) == IMAGES * len(RECIPES)
    assert {variant.known_dimensions for variant in variants} == {(20, 20), (30, 23), (50, 38)}
    assert asked == ["presign"]  # computed, for all at once
    monkeypatch.undo()

    async with sessions.begin() as session:
        await session.execute(delete(Photo))
    await settle(ledger)
    assert await count(photos) == 0


async def count(storage):
    """The files that are there, but for the ledger's mark."""
    return len([info async for info in storage.list() if FOLDER not in info.file_id])
