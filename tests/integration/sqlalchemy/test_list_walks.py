"""`fill_facts` and `verify_files` over the rows of a column of lists."""

from hashlib import sha256

import pytest
from sqlalchemy import JSON, Column, Index, String, insert, literal, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB

from async_storages import ImagePool, InvalidArgumentException, events
from async_storages.integrations.sqlalchemy import FileListType, ImageListType, ImageType, fill_facts, verify_files
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.documents import row_class
from tests.support.images import encode

AS_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
PNG = encode("PNG", (5, 7))
FACTS = ("size", "content_type", "filename", "sha256", "width", "height")
TOLD = {
    "size": len(PNG),
    "content_type": "image/png",
    "filename": "a.png",
    "sha256": sha256(PNG).hexdigest(),
    "width": 5,
    "height": 7,
}


@pytest.fixture
def album():
    return row_class(
        files=Column(ImageListType("documents", facts=FACTS)),
        __table_args__=(Index("ix_files", "files", postgresql_using="gin", mysql_length=255),),
    )


@pytest.fixture
async def old_rows(engine, create, album, storage):
    """Write lists without this package; their files are images."""
    await create(album)

    async def write(*lists):
        for key in {key for each in lists if isinstance(each, list) for key in each if isinstance(key, str)}:
            await storage.upload(PNG, key.removeprefix("mem:"))
        async with engine.begin() as connection:
            for number, items in enumerate(lists, 1):
                await connection.execute(
                    insert(album.__table__).values({"id": number, "files": literal(items, AS_JSON)})
                )

    return write


@pytest.fixture
def in_database(engine, album):
    async def in_database():
        async with engine.connect() as connection:
            found = await connection.scalars(select(type_coerce(album.files, AS_JSON)).order_by(album.id))
            return found.all()

    return in_database


class TestFilling:
    async def test_what_is_missing_is_filled_batch_by_batch(self, engine, album, old_rows, in_database):
        lists = [["mem:a.png", "mem:b.png"], [], None, ["mem:c.png", {"mem:c.png": {"filename": "by hand.png"}}]]
        await old_rows(*lists, ["mem:a.png", "mem:a.png"])
        seen = []
        done = await fill_facts(engine, album.files, batch=1, on_progress=lambda done: seen.append(done.rows))
        assert (done.rows, done.filled, done.is_right, seen) == (3, 3, True, [1, 2, 3])
        first, empty, null, third, last = await in_database()
        assert first == [*lists[0], {"mem:a.png": TOLD, "mem:b.png": {**TOLD, "filename": "b.png"}}]
        assert (empty, null) == ([], None)
        assert third == ["mem:c.png", {"mem:c.png": {**TOLD, "filename": "by hand.png"}}]
        assert last == ["mem:a.png", "mem:a.png", {"mem:a.png": TOLD}]

    async def test_a_second_run_has_nothing_to_do(self, engine, album, old_rows, monkeypatch):
        await old_rows(["mem:a.png"], ["mem:b.png"])
        await fill_facts(engine, album.files)
        asked = []
        monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
        assert ((await fill_facts(engine, album.files)).rows, asked) == (0, [])
        assert (await fill_facts(engine, album.files, every=True)).rows == 2

    async def test_only_new_files_of_a_list_are_asked_for(self, engine, album, old_rows, in_database, monkeypatch):
        await old_rows(["mem:a.png"], ["mem:b.png"])
        await fill_facts(engine, album.files)
        [[_, facts], _] = await in_database()
        async with engine.begin() as connection:
            written = literal(["mem:b.png", "mem:a.png", facts], AS_JSON)
            await connection.execute(update(album.__table__).where(album.id == 1).values(files=written))
        asked = []
        monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
        await fill_facts(engine, album.files)
        assert asked.count("stat") == 1
        assert (await in_database())[0][2].keys() == {"mem:a.png", "mem:b.png"}

    async def test_missing_files_are_named(self, engine, album, old_rows, in_database, storage):
        await old_rows(["mem:a.png", "mem:b.png"])
        await storage.delete("b.png")
        done = await fill_facts(engine, album.files)
        assert (done.rows, done.filled, done.missing) == (1, 1, ("mem:b.png",))
        assert await in_database() == [["mem:a.png", "mem:b.png", {"mem:a.png": TOLD}]]

    @pytest.mark.parametrize(
        ("now", "is_filled"),
        [
            (["mem:b.png", "mem:a.png"], False),
            (["mem:a.png"], False),
            (["mem:a.png", "mem:b.png", "mem:new.png"], False),
            (["mem:a.png", "mem:b.png", {"mem:a.png": {"size": 1}}], True),
        ],
        ids=["reordered", "shorter", "longer", "filled by another one"],
    )
    async def test_a_list_that_is_changed_meanwhile_stays(
        self, engine, album, old_rows, in_database, storage, monkeypatch, now, is_filled
    ):
        await old_rows(["mem:a.png", "mem:b.png"])
        stat = storage.stat

        async def late(name):
            async with engine.begin() as connection:
                await connection.execute(update(album.__table__).values(files=literal(now, AS_JSON)))
            return await stat(name)

        monkeypatch.setattr(storage, "stat", late)
        await fill_facts(engine, album.files, concurrency=1)
        [found] = await in_database()
        assert found[:2] == now[:2]
        assert (len(found) == 3 and found[2]["mem:b.png"]["size"] == len(PNG)) if is_filled else found == now

    async def test_what_others_wrote_stays(self, engine, album, old_rows, in_database):
        broken = ["mem:a.png", None, {"id": "mem:b.png"}]
        await old_rows(broken, {"mem:a.png": {"size": 1}}, 7, ["mem:c.png"])
        done = await fill_facts(engine, album.files)
        assert (done.filled, (await in_database())[:3]) == (1, [broken, {"mem:a.png": {"size": 1}}, 7])

    async def test_lists_without_facts_are_refused(self, engine):
        class_ = row_class(files=Column(FileListType("documents")))
        with pytest.raises(InvalidArgumentException, match="facts= of its FileListType"):
            await fill_facts(engine, class_.files)


class TestPlaceholders:
    @pytest.fixture
    def album(self):
        return row_class(
            files=Column(ImageListType("documents", facts=["size", "placeholder"])),
            file=Column(ImageType("documents", placeholder="hash")),
            hash=Column(String(100)),
        )

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_a_pool_makes_them(self, engine, album, old_rows, in_database, storage):
        await old_rows(["mem:a.png", "mem:broken.png"])
        await storage.upload(b"no image", "broken.png")
        await fill_facts(engine, album.files)
        [[*_, facts]] = await in_database()
        assert facts == {"mem:a.png": {"size": len(PNG)}, "mem:broken.png": {"size": 8}}
        async with ImagePool(workers=1) as pool:
            done = await fill_facts(engine, album.files, image_pool=pool)
        [[*_, facts]] = await in_database()
        assert (done.filled, done.is_right, len(facts["mem:a.png"]["placeholder"]) > 20) == (1, True, True)
        assert facts["mem:broken.png"] == {"size": 8}
        assert (await fill_facts(engine, album.files)).rows == 0

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_in_a_sibling_column(self, engine, album, old_rows):
        await old_rows(["mem:a.png"])
        async with engine.begin() as connection:
            await connection.execute(update(album.__table__).values(file="mem:a.png"))
        with pytest.raises(InvalidArgumentException, match="a placeholder needs an image_pool"):
            await fill_facts(engine, album.file)
        async with ImagePool(workers=1) as pool:
            assert (await fill_facts(engine, album.file, image_pool=pool)).filled == 1
        async with engine.connect() as connection:
            assert len(await connection.scalar(select(album.hash))) > 20


class TestVerification:
    @pytest.fixture
    async def filled(self, engine, album, old_rows):
        await old_rows(["mem:a.png", "mem:b.png"], [], ["mem:c.png"])
        await fill_facts(engine, album.files)

    async def test_lists_that_are_right(self, engine, album, filled):
        done = await verify_files(engine, album.files, content=True)
        assert (done.rows, done.right, done.is_right) == (3, 3, True)

    async def test_every_file_of_a_list_is_looked_at(self, engine, album, filled, storage):
        await storage.delete("a.png")
        await storage.upload(b"four", "b.png")
        await storage.upload(PNG[::-1], "c.png")
        done = await verify_files(engine, album.files, batch=1)
        assert (done.rows, done.right, done.missing) == (3, 2, ("mem:a.png",))
        assert done.wrong == {"mem:b.png": f"4 bytes, the row says {len(PNG)}"}
        done = await verify_files(engine, album.files, content=True)
        assert (done.right, list(done.wrong)) == (1, ["mem:b.png", "mem:c.png"])

    async def test_a_file_that_left_its_list_meanwhile_is_not_missing(
        self, engine, album, filled, storage, monkeypatch
    ):
        await storage.delete("a.png")
        stat = storage.stat

        async def late(name):
            async with engine.begin() as connection:
                written = literal(["mem:b.png"], AS_JSON)
                await connection.execute(update(album.__table__).where(album.id == 1).values(files=written))
            return await stat(name)

        monkeypatch.setattr(storage, "stat", late)
        assert (await verify_files(engine, album.files, concurrency=1)).is_right

    async def test_lists_of_ids_are_right_if_the_files_are_there(self, engine, old_rows, storage):
        await old_rows(["mem:a.png"], ["mem:b.png", "mem:gone.png"])
        await storage.delete("gone.png")
        class_ = row_class(files=Column(FileListType("documents")))
        done = await verify_files(engine, class_.files)
        assert (done.right, done.missing) == (1, ("mem:gone.png",))
