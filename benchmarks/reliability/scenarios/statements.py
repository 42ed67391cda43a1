"""Changes that no unit of work sees."""

from sqlalchemy import delete, text, update

from benchmarks.reliability.library import Library
from benchmarks.reliability.scenarios.listing import Scenario, added, first, give, listing

SCENARIOS: dict[str, Scenario] = {}
scenario = listing(SCENARIOS)


@scenario("passive_deletes cascade")
async def passive_deletes(at: Library) -> None:
    async with at.sessions() as session:
        session.add(at.models.Shelf(id=1, loans=[added(at, "lent", "Loan")]))
        await session.commit()
        await at.settle()
    async with at.sessions() as session:
        await session.delete(await session.get(at.models.Shelf, 1))
        await session.commit()


@scenario("text() delete")
async def text_delete(at: Library) -> None:
    await executed(at, text("DELETE FROM documents WHERE id = 1"))


@scenario("raw SQL")
async def raw_sql(at: Library) -> None:
    await at.execute("UPDATE documents SET file = NULL, text = NULL WHERE id = 1")


@scenario("`bulk_save_objects`")
async def bulk_save_objects(at: Library) -> None:
    async with at.sessions() as session:
        document = await first(at, session)
        session.expunge(document)
        give(at, document, None)
        await session.run_sync(lambda sync: sync.bulk_save_objects([document]))
        await session.commit()


@scenario("bulk delete")
async def bulk_delete(at: Library) -> None:
    await executed(at, delete(at.models.Document).where(at.models.Document.id == 1))


@scenario("bulk update")
async def bulk_update(at: Library) -> None:
    await executed(at, update(at.models.Document).where(at.models.Document.id == 1).values(file=None, text=None))


@scenario("Core delete through the session")
async def core_delete(at: Library) -> None:
    table = at.models.Document.__table__
    await executed(at, delete(table).where(table.c.id == 1))


async def executed(at: Library, statement: object) -> None:
    async with at.sessions() as session:
        await session.execute(statement)
        await session.commit()
