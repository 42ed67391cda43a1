"""The process that is killed: ``python -m benchmarks.reliability.killed NAME URL FOLDER DEATH``."""

import asyncio
import sys
from pathlib import Path

from benchmarks.reliability.libraries import find
from benchmarks.reliability.scenarios.crashes import DEATHS


async def main(name: str, url: str, folder: str, death: str) -> None:
    at = find(name)(name, url, Path(folder))
    await at.begin()
    await DEATHS[death](at)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
