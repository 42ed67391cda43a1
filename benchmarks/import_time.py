"""What importing costs, above starting the interpreter."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks import Figure, Goal

RUNS = 15


def seconds(program: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - started


def measure() -> Iterator[Figure]:
    programs = {
        "import async_storages": "import async_storages",
        "from async_storages import StoredFile": "from async_storages import StoredFile",
        "from async_storages import LocalStorage (with pydantic)": "from async_storages import LocalStorage",
        "…integrations.sqlalchemy import FileType": "from async_storages.integrations.sqlalchemy import FileType",
    }
    # interleaved, so that a busy moment meets all alike
    runs = [{name: seconds(program) for name, program in {"": "pass", **programs}.items()} for _ in range(RUNS)]
    for name in programs:
        cost = 1000 * statistics.median(run[name] - run[""] for run in runs)
        goals = (Goal(60),) if name == "import async_storages" else ()
        yield Figure(name, "ms", cost, goals=goals)
