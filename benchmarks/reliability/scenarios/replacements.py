"""Rows that get another file, lose theirs, or share one."""

from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from benchmarks.reliability.library import Library
from benchmarks.reliability.scenarios.listing import IDS, OLD, Scenario, added, first, give, listing, replace

SCENARIOS: dict[str, Scenario] = {}
scenario = listing(SCENARIOS)


@scenario("replace")
async def replace_(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session)
        await session.commit()


@scenario("set to None")
async def set_to_none(at: Library) -> None:
    async with at.sessions() as session:
        give(at, await first(at, session), None)
        await session.commit()


@scenario("delete row")
async def delete_row(at: Library) -> None:
    async with at.sessions() as session:
        await session.delete(await first(at, session))
        await session.commit()


@scenario("delete-orphan cascade")
async def delete_orphan(at: Library) -> None:
    async with at.sessions() as session:
        session.add(at.models.Shelf(id=1, documents=[await first(at, session)]))
        await session.commit()
    async with at.sessions() as session:
        shelf = await session.get(at.models.Shelf, 1)
        await session.refresh(shelf, ["documents"])
        shelf.documents.clear()
        await session.commit()


@scenario("replace in a released savepoint + outer rollback")
async def replace_in_savepoint(at: Library) -> None:
    async with at.sessions() as session:
        async with session.begin_nested():
            await replace(at, session)
        await session.rollback()


@scenario("replace twice in one transaction")
async def replace_twice(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session, "superseded")
        await session.flush()
        await replace(at, session)
        await session.commit()


@scenario("replace on an expired instance")
async def replace_expired(at: Library) -> None:
    async with at.sessions() as session:
        document = await first(at, session)
        session.expire(document)
        give(at, document, "new")
        await session.commit()


@scenario("replace on a deferred column")
async def replace_deferred(at: Library) -> None:
    async with at.sessions() as session:
        session.add(added(at, OLD, "Deferred", id=1))
        await session.commit()
        await at.settle()
    async with at.sessions() as session:
        give(at, await session.get(at.models.Deferred, 1), "new")
        await session.commit()


@scenario("delete + add of the same id")
async def delete_and_add(at: Library) -> None:
    async with at.sessions() as session:
        document = await first(at, session)
        session.add(at.models.Document(id=1, text=OLD, file=document.file))
        await session.delete(document)
        await session.commit()


@scenario("move an id between rows")
async def move(at: Library) -> None:
    async with at.sessions() as session:
        document = await first(at, session)
        session.add(at.models.Document(id=2, text=OLD, file=document.file))
        document.text = document.file = None
        await session.commit()


@scenario("copy an id to a second row, delete the first")
async def copy(at: Library) -> None:
    await share(at, "Shared")


@scenario("same id in two tables")
async def two_tables(at: Library) -> None:
    await share(at, "AlsoShared")


async def share(at: Library, other: str) -> None:
    """Two rows name one file, and the first is deleted."""
    async with at.sessions() as session:
        session.add(added(at, "shared", "Shared", id=1))
        await session.commit()
        await at.settle()
    async with at.sessions() as session:
        shared = await session.get(at.models.Shared, 1)
        session.add(getattr(at.models, other)(id=2, text="shared", file=shared.file))
        await session.commit()
        await at.settle()
    async with at.sessions() as session:
        await session.delete(await session.get(at.models.Shared, 1))
        await session.commit()


@scenario("two sessions replace one row")
async def two_sessions(at: Library) -> None:
    async with at.sessions() as one, at.sessions() as two:
        before = [(session, await first(at, session)) for session in (one, two)]
        for session, document in before:
            give(at, document, "new")
            with suppress(DBAPIError):  # of two on SQLite, one fails
                await session.commit()
            await session.close()


@scenario("append to a list of files")
async def append(at: Library) -> None:
    async with at.sessions() as session:
        session.add(at.models.Album(id=1, text="one", file=[at.new("one")]))
        await session.commit()
        await at.settle()
    async with at.sessions() as session:
        album = await session.get(at.models.Album, 1)
        album.text = "one,two"
        album.file.append(at.new("two"))
        await session.commit()


@scenario("two rows with one name")
async def one_name(at: Library) -> None:
    async with at.sessions() as session:
        session.add_all(
            at.models.Document(id=next(IDS), text=text, file=at.new(text, "same.txt")) for text in ("one", "two")
        )
        await session.commit()


@scenario("new content under the same name")
async def same_name(at: Library) -> None:
    async with at.sessions() as session:
        session.add(at.models.Document(id=2, text="before", file=at.new("before", "same.txt")))
        await session.commit()
        await at.settle()
    async with at.sessions() as session:
        document = await session.get(at.models.Document, 2)
        document.text, document.file = "after", at.new("after", "same.txt")
        await session.commit()
