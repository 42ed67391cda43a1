"""A page of 1000 rows as JSON, from the SELECT to the bytes, with a presigned URL in each row."""

import asyncio
import json
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter
from sqlalchemy import String, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import S3Storage, StoredImage, file_urls
from async_storages.integrations.sqlalchemy import ImageType
from benchmarks import Figure, Goal
from benchmarks.presigning import ENDPOINT, EXPIRES_IN, KEY_ID, SECRET
from benchmarks.worker import Cost, measured

ROWS = 1000
ROUNDS = 7
GOAL = 10

storage = S3Storage("photos", endpoint_url=ENDPOINT, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET)

type Listing = Callable[[AsyncSession], Awaitable[bytes]]


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photos"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    image: Mapped[StoredImage] = mapped_column(ImageType(storage))


class PlainPhoto(Base):
    __tablename__ = "plain_photos"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    image: Mapped[str] = mapped_column(String(1024))


class PhotoOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    image: StoredImage


class PlainPhotoOut(BaseModel):
    id: int
    title: str
    image: str


photos = TypeAdapter(list[PhotoOut])
plain_photos = TypeAdapter(list[PlainPhotoOut])


async def ours(session: AsyncSession) -> bytes:
    rows = (await session.scalars(select(Photo))).all()
    return photos.dump_json(photos.validate_python(rows), context=await file_urls(rows, expires_in=EXPIRES_IN))


def aioboto3_with(client: Any) -> Listing:
    async def presign(key: str) -> str:
        return await client.generate_presigned_url("get_object", {"Bucket": "photos", "Key": key}, EXPIRES_IN)

    async def listing(session: AsyncSession) -> bytes:
        rows = (await session.scalars(select(PlainPhoto))).all()
        out = [PlainPhotoOut(id=row.id, title=row.title, image=await presign(row.image)) for row in rows]
        return plain_photos.dump_json(out)

    return listing


@asynccontextmanager
async def aioboto3_client() -> AsyncIterator[Any]:
    import aioboto3
    from botocore.config import Config

    async with aioboto3.Session(KEY_ID, SECRET, region_name="us-east-1").client(
        "s3",
        endpoint_url=ENDPOINT,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    ) as client:
        yield client


@asynccontextmanager
async def database() -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine("sqlite+aiosqlite://")
    keys = [f"albums/2026/{number:016x}_holiday.jpg" for number in range(ROWS)]
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        for model in (Photo, PlainPhoto):
            await connection.execute(insert(model), [{"title": key[-16:], "image": key} for key in keys])
    yield engine
    await engine.dispose()


async def cost_of(listing: Listing, engine: AsyncEngine) -> Cost:
    async with AsyncSession(engine) as session:
        with measured() as cost:
            body = await listing(session)
    urls = [row["image"].partition("?") for row in json.loads(body)]
    assert len(urls) == ROWS
    assert all(url.startswith(f"{ENDPOINT}/photos/albums/") and "X-Amz-Signature=" in query for url, _, query in urls)
    return cost


async def run() -> list[dict[str, Cost]]:
    async with database() as engine, aioboto3_client() as client:
        listings = {"ours": ours, "aioboto3": aioboto3_with(client)}
        for listing in listings.values():
            await cost_of(listing, engine)  # what is made once is made
        return [{name: await cost_of(listing, engine) for name, listing in listings.items()} for _ in range(ROUNDS)]


def measure() -> Iterator[Figure]:
    rounds = asyncio.run(run())
    cpu, wall = (
        {name: statistics.median(costs[name][what] for costs in rounds) for name in rounds[0]}
        for what in ("cpu", "wall")
    )
    for unit, took in (("ms of CPU", cpu), ("ms", wall)):
        what = f"{ROWS:,} rows as JSON with presigned URLs: {'CPU' if took is cpu else 'time on the clock'}"
        yield Figure(what, unit, 1000 * took["ours"], {"aioboto3": 1000 * took["aioboto3"]}, (Goal(GOAL, "aioboto3"),))
