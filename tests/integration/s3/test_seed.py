"""The documented usage of fastapi-async-storages, with nothing changed but the server and its keys."""

from io import BytesIO
from urllib.parse import urlsplit

from PIL import Image
from sqlalchemy import Column, Integer
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.ext.asyncio.session import async_sessionmaker
from sqlalchemy.orm import declarative_base

from async_storages import S3Storage
from async_storages.integrations.sqlalchemy import FileType, ImageType


def storage_on(s3_server, s3_bucket):
    return S3Storage(
        bucket_name=s3_bucket,
        endpoint_url=urlsplit(s3_server.endpoint_url).netloc,  # no protocol (http/https)
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
        use_ssl=False,
    )


async def test_working_with_storages(s3_server, s3_bucket):
    storage = storage_on(s3_server, s3_bucket)
    file_name = "uploads/example.txt"
    file_obj = BytesIO(b"hello world")

    # upload a file
    await storage.upload(file_obj, file_name)
    # get file URL
    path = await storage.get_path(file_name)
    # get file size
    size = await storage.get_size(file_name)
    # delete file
    await storage.delete(file_name)

    assert path == f"{s3_server.endpoint_url}/{s3_bucket}/uploads/example.txt"
    assert size == 11
    assert not await storage.exists(file_name)
    await storage.aclose()


async def test_working_with_sqlalchemy(s3_server, s3_bucket):
    Base = declarative_base()  # noqa: N806 - as documented
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    async_session = async_sessionmaker(engine, expire_on_commit=False, class_=AsyncSession)
    storage = storage_on(s3_server, s3_bucket)

    class Document(Base):
        __tablename__ = "documents"

        id = Column(Integer, primary_key=True)
        file = Column(FileType(storage=storage))
        image = Column(ImageType(storage=storage))

    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)

    # create an in-memory image
    img_buf = BytesIO()
    Image.new("RGB", (32, 16), color=(255, 0, 0)).save(img_buf, format="PNG")
    img_buf.seek(0)

    # upload and link file and image
    img_name = await storage.upload(img_buf, "uploads/test-image.png")
    file_name = await storage.upload(BytesIO(b"hello world"), "uploads/test.txt")

    async with async_session() as session:
        doc = Document(file=file_name, image=img_name)
        session.add(doc)
        await session.commit()

        doc = await session.get(Document, doc.id)
        url = await doc.file.get_path()
        width, height = await doc.image.get_dimensions()

    assert url == f"{s3_server.endpoint_url}/{s3_bucket}/uploads/test.txt"
    assert (width, height) == (32, 16)
    assert await doc.file.read() == b"hello world"
    await storage.aclose()
    await engine.dispose()
