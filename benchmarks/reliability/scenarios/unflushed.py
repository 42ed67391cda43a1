"""Content that no flush is to see."""

from benchmarks.reliability.library import Library
from benchmarks.reliability.scenarios.listing import Scenario, added, first, listing, replace

SCENARIOS: dict[str, Scenario] = {}
scenario = listing(SCENARIOS)


@scenario("merge")
async def merge(at: Library) -> None:
    async with at.sessions() as session:
        await session.merge(at.models.Document(id=1, title="merged"))
        await session.commit()


@scenario("refresh with a pending value")
async def refresh(at: Library) -> None:
    async with at.sessions(autoflush=False) as session:
        await replace(at, session)
        await session.refresh(await first(at, session))
        await session.commit()


@scenario("expunge before flush")
async def expunge(at: Library) -> None:
    async with at.sessions() as session:
        await replace(at, session)
        session.expunge(await first(at, session))
        await session.commit()


@scenario("object never added")
async def never_added(at: Library) -> None:
    async with at.sessions() as session:
        await first(at, session)
        added(at, "never")
        await session.commit()
