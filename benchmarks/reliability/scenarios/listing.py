"""Lists of scenarios, and what they have in common."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from benchmarks.reliability.library import Library

type Scenario = Callable[[Library], Awaitable[None]]
type Listed = Callable[[Scenario], Scenario]

OLD = "old"
"""The text of the file of row 1."""

IDS = count(100)
"""Of new rows: a server that counts would begin with 1 again."""


class Stop(Exception):
    """What a scenario raises to leave a block."""


@contextmanager
def provoked(*errors: type[Exception]) -> Iterator[None]:
    """Suppress the errors, one of which there must be."""
    try:
        yield
    except errors:
        return
    raise AssertionError(f"none of {errors} was raised")


class LostError(Exception):
    """A committed row named a missing file while the scenario went on."""


def listing(scenarios: dict[str, Scenario]) -> Callable[[str], Listed]:
    """A decorator that puts a scenario on a list, under its name."""

    def named(name: str) -> Listed:
        def put(scenario: Scenario) -> Scenario:
            scenarios[name] = scenario
            return scenario

        return put

    return named


async def begin(at: Library) -> None:
    """The row that is there before each scenario."""
    async with at.sessions() as session:
        session.add(at.models.Document(id=1, text=OLD, file=at.new(OLD)))
        await session.commit()


async def first(at: Library, session: Any) -> Any:
    """That row."""
    return await session.get(at.models.Document, 1)


def give(at: Library, row: Any, text: str | None) -> None:
    """Another file, or none."""
    row.text, row.file = text, None if text is None else at.new(text)


async def replace(at: Library, session: Any, text: str = "new") -> None:
    """Row 1 gets another file."""
    give(at, await first(at, session), text)


def added(at: Library, text: str, class_: str = "Document", **values: Any) -> Any:
    """A new row with a new file."""
    return getattr(at.models, class_)(text=text, file=at.new(text), **{"id": next(IDS), **values})
