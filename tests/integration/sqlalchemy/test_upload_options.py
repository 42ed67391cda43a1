"""Upload options of a column: between those of the storage and those of the content that is assigned."""

import pytest
from sqlalchemy import Column, select
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import (
    CustomerKey,
    InvalidArgumentException,
    MemoryStorage,
    OperationNotSupportedException,
    PendingFile,
    UploadOptions,
)
from async_storages.integrations.sqlalchemy import FileType, ImageType, enable_file_tracking
from tests.support.documents import row_class

OPTIONS = UploadOptions(cache_control="column", content_language="de")


@pytest.fixture
def sessions(engine):
    maker = async_sessionmaker(engine, expire_on_commit=False)
    enable_file_tracking(maker)
    return maker


async def test_a_column_goes_before_its_storage_and_after_the_content(sessions, create):
    storage = MemoryStorage()
    storage.upload_options = UploadOptions(cache_control="storage", content_disposition="attachment")
    Row = row_class(file=Column(FileType(storage, upload_options=OPTIONS)))  # noqa: N806 - a class
    await create(Row)
    async with sessions() as session:
        plain, said = Row(id=1), Row(id=2)
        plain.file = PendingFile(b"content", "a.txt")
        said.file = PendingFile(b"content", "b.txt", options=UploadOptions(cache_control="content"))
        session.add_all([plain, said])
        await session.commit()
        for row, expected in ((plain, "column"), (said, "content")):
            info = await row.file.get_info()
            assert (info.cache_control, info.content_language, info.content_disposition) == (
                expected,
                "de",
                "attachment",
            )


async def test_what_the_columns_storage_cannot_do_fails_the_flush_and_leaves_nothing(sessions, create):
    storage = MemoryStorage()
    Row = row_class(file=Column(FileType(storage, upload_options=UploadOptions(tags={"a": "b"}))))  # noqa: N806
    await create(Row)
    async with sessions() as session:
        session.add(Row(id=1, file=PendingFile(b"content", "a.txt")))
        with pytest.raises(OperationNotSupportedException, match="MemoryStorage cannot do tags="):
            await session.commit()
    assert [info async for info in storage.list()] == []


@pytest.mark.parametrize("type_", [FileType, ImageType])
def test_a_column_has_no_key_that_its_storage_would_need_for_reading(type_):
    with pytest.raises(InvalidArgumentException, match="give the upload_options to the storage"):
        type_(upload_options=UploadOptions(encryption=CustomerKey(bytes(32))))


def test_statements_are_cached_with_them():
    tags = UploadOptions(tags={"a": "b"})
    one, other = (row_class(file=Column(FileType(MemoryStorage(), upload_options=options))) for options in (tags, None))
    assert select(one.file)._generate_cache_key() is not None
    assert one.file.type._static_cache_key != other.file.type._static_cache_key


@pytest.mark.parametrize("type_", [FileType, ImageType])
def test_a_copy_of_a_type_has_them(type_):
    assert type_(upload_options=OPTIONS).copy().upload_options == OPTIONS
