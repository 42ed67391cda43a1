"""Facts in lists: a file is named by its list with facts, without them, and after nobody declares them any more."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import JSON, delete, insert, literal, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB

from async_storages import StorageUnavailableException, StoredFile, events
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.ledgers import only_level_1, only_level_2, settle
from tests.support.tracked import Album, Book, pending

pytestmark = pytest.mark.matrix

AS_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
AT_ONCE = timedelta(0)
FORMS = {  # the list of two files, as the database has it
    "ids": lambda one, two: [one, two],
    "facts": lambda one, two: [one, two, {one: {"size": 3, "filename": "1"}, two: {"size": 4}}],
    "mixed": lambda one, two: [one, two, {two: {"size": 4}}],
    "facts of others": lambda one, two: [one, two, {"mem:gone": {"size": 4}, two: {"filename": one}}],
    "no facts": lambda one, two: [one, two, {}],
    "broken facts": lambda one, two: [one, two, {one: {"size": "big", "uploaded_at": "soon", "sha256": 7}}],
}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
each_column = pytest.mark.parametrize("name", ["pages", "shared"])  # one with facts, one without


@pytest.fixture
def in_database(engine):
    """The JSON of a column, by the ids of rows."""

    async def in_database(name="pages"):
        async with engine.connect() as connection:
            found = select(Album.id, type_coerce(getattr(Album, name), AS_JSON)).order_by(Album.id)
            return dict(map(tuple, await connection.execute(found)))

    return in_database


@pytest.fixture
async def written(engine, storage):
    """Write a list of two stored files without this package; returns their ids."""

    async def written(form, name):
        ids = [(await storage.save(each.encode(), each)).file_id for each in ("one", "two!")]
        async with engine.begin() as connection:
            await connection.execute(insert(Album.__table__).values({"id": 1, name: literal(form(*ids), AS_JSON)}))
        return ids

    return written


def facts_of(file, content):
    return {
        "size": len(content),
        "filename": file.filename,
        "sha256": sha256(content).hexdigest(),
        "uploaded_at": file.known_upload_time.isoformat(),
    }


# ---- a file is named


@each_form
@each_column
async def test_a_file_that_only_a_list_names_stays(sessions, left, written, form, name):
    """Another row gets and loses it, and a sweep looks at all files."""
    one, _ = await written(form, name)
    async with sessions.begin() as session:
        session.add(Book(id=1, file=one))
    async with sessions.begin() as session:
        await session.delete(await session.get(Book, 1))
    assert await left() == {"one", "two!"}


@only_level_2
@each_form
@each_column
async def test_a_sweep_of_the_inventory_finds_it(engine, ledger, left, written, form, name):
    await written(form, name)
    assert await ledger.sweep(AT_ONCE, inventory=True, force=True) == 0
    assert await left() == {"one", "two!"}
    async with engine.begin() as connection:
        await connection.execute(delete(Album.__table__))
    assert await ledger.sweep(AT_ONCE, inventory=True, force=True) == 2
    await settle(ledger)
    assert await left() == set()


@pytest.mark.parametrize("form", [FORMS["facts"], FORMS["mixed"]], ids=["facts", "mixed"])
@each_column
async def test_it_is_changed_and_emptied(sessions, left, written, in_database, form, name):
    one, two = await written(form, name)
    async with sessions.begin() as session:
        found = await session.get(Album, 1)
        files = getattr(found, name)
        files.reverse()
        files.insert(1, pending("new"))
        await session.flush()
        new = str(files[1])
    assert (await in_database(name))[1][:3] == [two, new, one]
    assert await left() == {"one", "two!", "new"}
    async with sessions.begin() as session:
        found = await session.get(Album, 1)
        getattr(found, name).remove(StoredFile(one))
    assert await left() == {"two!", "new"}
    async with sessions.begin() as session:
        await session.execute(update(Album).values({name: []}))
    assert ((await in_database(name))[1], await left()) == ([], set())


@only_level_1
@each_form
@each_column
async def test_contains_and_equals(sessions, written, form, name):
    one, two = await written(form, name)
    column = getattr(Album, name)
    found = {
        "one": column.contains(one),
        "another": column.contains("mem:gone"),
        "both": column == [one, two],
        "another order": column == [two, one],
    }
    async with sessions() as session:
        asked = {what: await session.scalar(select(Album.id).where(each)) for what, each in found.items()}
    assert asked == {"one": 1, "another": None, "both": 1, "another order": None}


# ---- facts are kept


async def test_an_upload_writes_them_and_a_loaded_file_answers(sessions, in_database, monkeypatch):
    async with sessions.begin() as session:
        session.add(Album(id=1, pages=[pending("one"), pending("two")], kept=[pending("three")], shared=[pending("4")]))
    asked = []
    monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
    async with sessions() as session:
        album = await session.get(Album, 1)
        [one, two], [three], [four] = album.pages, album.kept, album.shared
    assert (one.known_size, two.known_sha256) == (3, sha256(b"two").hexdigest())
    assert abs(one.known_upload_time - datetime.now(UTC)) < timedelta(hours=1)
    assert (three.known_size, three.known_filename, four.known_size) == (5, None, None)
    facts = {str(one): facts_of(one, b"one"), str(two): facts_of(two, b"two")}
    assert (await in_database())[1] == [str(one), str(two), facts]
    assert (await in_database("kept"))[1] == [str(three), {str(three): {"size": 5}}]
    assert (await in_database("shared"))[1] == [str(four)]
    assert asked == []


@pytest.fixture
async def album(sessions):
    async with sessions.begin() as session:
        pages, kept = [pending("one"), pending("two")], [pending("three"), pending("four")]
        session.add(Album(id=1, pages=pages, kept=kept))


CHANGES = {
    "reverse": lambda files: files.reverse(),
    "other objects of the same ids": lambda files: files.__setitem__(slice(None), [str(each) for each in files[::-1]]),
    "append": lambda files: files.append(pending("new")),
    "replace": lambda files: files.__setitem__(0, pending("new")),
    "repeat": lambda files: files.append(files[0]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("name", ["pages", "kept"])
async def test_files_that_stay_keep_them(sessions, album, in_database, change, name):
    async with sessions.begin() as session:
        found = await session.get(Album, 1)
        change(getattr(found, name))
    *ids, facts = (await in_database(name))[1]
    assert facts.keys() == set(ids)
    sizes = {"pages": [3], "kept": [5, 4, 3]}[name]
    assert {each["size"] for each in facts.values()} <= set(sizes)


@pytest.mark.parametrize("name", ["pages", "kept"])
async def test_a_list_of_ids_of_a_client(sessions, album, in_database, name):
    *ids, facts = (await in_database(name))[1]
    async with sessions() as session:
        found = await session.get(Album, 1)
        await session.commit()  # which expires it
        setattr(found, name, ids[::-1])
        await session.commit()
    assert (await in_database(name))[1] == [*ids[::-1], facts]


async def test_a_file_whose_list_tells_nothing_is_told_by_nobody(sessions, storage, in_database):
    await storage.upload(b"", "a")
    async with sessions.begin() as session:
        session.add(Album(id=1, pages=["mem:a"]))
    assert await in_database() == {1: ["mem:a"]}


async def test_a_list_is_written_without_them_where_none_are_declared(sessions, written, in_database):
    one, two = await written(FORMS["facts"], "shared")
    async with sessions.begin() as session:
        found = await session.get(Album, 1)
        assert [each.known_size for each in found.shared] == [3, 4]
        found.shared.reverse()
    assert (await in_database("shared"))[1] == [two, one]


async def test_statements_write_what_their_files_know(sessions, storage, in_database):
    one, two = await storage.save(b"one", "one"), await storage.save(b"two!", "two")
    async with sessions.begin() as session:
        await session.execute(insert(Album).values(id=1, kept=[one]))
        await session.execute(update(Album).values(kept=[two, one]))
    facts = {str(one): {"size": 3}, str(two): {"size": 4}}
    assert (await in_database("kept"))[1] == [str(two), str(one), facts]


# ---- transactions


async def test_a_rollback_and_another_attempt(sessions, album, in_database, left, storage):
    before = await in_database()
    async with sessions() as session:
        found = await session.get(Album, 1)
        found.pages = [pending("new"), *found.pages[1:]]
        await session.flush()
        await session.rollback()
        assert await in_database() == before
        storage.refused = {"bad"}
        found = await session.get(Album, 1)
        found.pages.append(pending("bad"))
        with pytest.raises(StorageUnavailableException):
            await session.commit()
        await session.rollback()
    assert await in_database() == before
    assert await left() == {"one", "two", "three", "four"}


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_savepoint(sessions, album, in_database, left, end):
    before = (await in_database())[1]
    async with sessions.begin() as session:
        found = await session.get(Album, 1)
        savepoint = await session.begin_nested()
        found.pages.pop(0)
        found.pages.append(pending("new"))
        await session.flush()
        await getattr(savepoint, end)()
    *ids, facts = (await in_database())[1]
    assert facts.keys() == set(ids)
    assert [each["filename"] for each in map(facts.get, ids)] == (["two", "new"] if end == "commit" else ["one", "two"])
    assert [*ids, facts] == before or end == "commit"
    assert await left() == {"three", "four", "two", "new" if end == "commit" else "one"}
