"""`normalise_file_ids`: columns of bare keys become columns of file ids."""

import pytest
from sqlalchemy import Column, String, func, select, text, type_coerce

from async_storages import FileId, InvalidArgumentException, MemoryStorage
from async_storages.ids import FASTDFS, is_fusion_id
from async_storages.integrations.sqlalchemy import FileType, normalise_file_ids
from tests.support.documents import row_class

FASTDFS_ID = "group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"
TABLE = row_class(file=Column(FileType("documents", 99)), plain=Column(String(20)), other=Column(String)).__table__


class Hybrid:
    """A router that, like a manager in hybrid mode, takes what has no scheme for FastDFS's."""

    def identify(self, name):
        return FileId.parse(str(name)) if is_fusion_id(str(name)) else FileId(FASTDFS, None, str(name))


@pytest.fixture
async def connection(engine):
    async with engine.begin() as connection:
        await connection.run_sync(TABLE.metadata.create_all)
        yield connection


@pytest.fixture
def fill(connection):
    """Write the values as other programs do, into columns that are no file columns."""

    async def fill(values, name="file"):
        await connection.execute(
            text(f"INSERT INTO rows ({name}) VALUES (:value)"), [{"value": each} for each in values]
        )

    return fill


async def raw(connection, name="file"):
    texts = await connection.scalars(select(type_coerce(TABLE.c[name], String)).order_by(TABLE.c.id))
    return texts.all()


async def test_bare_keys_become_ids_and_are_then_found(connection, fill, storage):
    await fill(["a.txt", "mem:a.txt", None, "it's 50%.txt", "", "a.txt", "zoo/Ä ✓.txt"])
    assert (await connection.scalars(select(TABLE.c.id).where(TABLE.c.file == "a.txt"))).all() == [2]

    assert await connection.run_sync(normalise_file_ids, TABLE.c.file, storage) == 3

    assert await raw(connection) == [
        "mem:a.txt",
        "mem:a.txt",
        None,
        "mem:it's 50%.txt",
        "",
        "mem:a.txt",
        "mem:zoo/Ä ✓.txt",
    ]
    found = await connection.scalars(select(TABLE.c.id).where(TABLE.c.file == "a.txt"))
    assert sorted(found) == [1, 2, 6]


async def test_again_changes_nothing(connection, fill, storage, statements):
    await fill(["a.txt", "b.txt"])
    await connection.run_sync(normalise_file_ids, TABLE.c.file, storage)
    statements.clear()
    assert await connection.run_sync(normalise_file_ids, TABLE.c.file, storage) == 0
    assert not [statement for statement in statements if statement.startswith("UPDATE")]


@pytest.mark.parametrize("count", [0, 499, 500, 501, 20_001])
async def test_any_number_of_rows(connection, fill, storage, count):
    await fill([f"{number % 7}/{number}.txt" for number in range(count)] or [None])
    assert await connection.run_sync(normalise_file_ids, TABLE.c.file, storage) == count
    assert await connection.scalar(select(func.count()).where(TABLE.c.file.like("mem:%/%.txt"))) == count


async def test_ids_of_fastdfs_stay_as_they_are(connection, fill):
    await fill([FASTDFS_ID, "mem:a.txt"])
    assert await connection.run_sync(normalise_file_ids, TABLE.c.file, Hybrid()) == 0
    assert await raw(connection) == [FASTDFS_ID, "mem:a.txt"]


async def test_what_only_looks_like_fastdfs_is_a_key_of_the_storage_named(connection, fill, storage):
    await fill([FASTDFS_ID])
    assert await connection.run_sync(normalise_file_ids, TABLE.c.file, storage) == 1
    assert await raw(connection) == [f"mem:{FASTDFS_ID}"]


async def test_a_column_that_is_not_yet_a_file_column(connection, fill, storage):
    await fill(["a.txt"], "other")
    assert await connection.run_sync(normalise_file_ids, TABLE.c.other, storage) == 1
    assert await raw(connection, "other") == ["mem:a.txt"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nosuch:a.txt", "unknown scheme"),
        ("../a.txt", "a key cannot hold"),
        ("1234567890123456.txt", "would have 24 characters, the column has 20"),
    ],
)
async def test_what_can_be_no_id_is_named_before_anything_of_its_batch_is_written(
    connection, fill, storage, value, reason
):
    await fill(["-first.txt", value], "plain")
    with pytest.raises(InvalidArgumentException, match=reason) as refused:
        await connection.run_sync(normalise_file_ids, TABLE.c.plain, storage)
    assert refused.value.file_id.endswith(value)
    assert await raw(connection, "plain") == ["-first.txt", value]


def test_a_column_of_no_table_is_refused():
    with pytest.raises(InvalidArgumentException, match="belongs to no table"):
        normalise_file_ids(None, Column("file", String), MemoryStorage())
