"""All scenarios with one library, in a process of its own: ``python -m benchmarks.reliability.column NAME URL FOLDER``.

Prints JSON: the versions, and what became of each scenario.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.judge import KEPT, LOST, verdict
from benchmarks.reliability.libraries import find
from benchmarks.reliability.library import Library, NotApplicableError
from benchmarks.reliability.scenarios import SCENARIOS, Scenario
from benchmarks.reliability.scenarios.listing import LostError, begin

NOT_APPLICABLE = "n/a"
TIMEOUT = 20  # seconds; none takes two


@dataclass(frozen=True)
class Cell:
    """What became of a scenario, and why, if something was raised."""

    verdict: str
    why: str = ""


async def outcome(at: Library, scenario: Scenario) -> Cell:
    """Run a scenario from the beginning."""
    await at.reset()
    await begin(at)
    await settled(at)
    assert await judged(at) == KEPT
    error = await failure(at, scenario)
    await settled(at)
    if isinstance(error, NotApplicableError):
        return Cell(NOT_APPLICABLE, str(error))
    if isinstance(error, LostError):
        return Cell(LOST, str(error))
    return Cell(await judged(at, raised=error is not None), said(error) if error else "")


def said(error: Exception) -> str:
    """Without the lines that SQLAlchemy adds."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"


async def failure(at: Library, scenario: Scenario) -> Exception | None:
    try:
        async with asyncio.timeout(TIMEOUT):
            await scenario(at)
    except AssertionError:
        raise  # what the scenario is about did not happen
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        return error
    return None


async def settled(at: Library) -> None:
    at.trouble.end()
    await at.settle()


async def judged(at: Library, *, raised: bool = False) -> str:
    files = at.present()  # before anything is awaited
    return verdict(await at.rows(), files, raised=raised)


async def column(at: Library, names: Iterable[str]) -> Mapping[str, Cell]:
    """Run scenarios, one after the other."""
    try:
        return {name: await outcome(at, SCENARIOS[name]) for name in names}
    finally:
        await at.end()


async def main(name: str, url: str, folder: str, *names: str) -> None:
    logging.disable()  # the libraries say what fails
    at = find(name)(name, url, Path(folder))
    cells = await column(at, names or SCENARIOS)
    print(json.dumps({"versions": at.versions(), "cells": {each: vars(cell) for each, cell in cells.items()}}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
