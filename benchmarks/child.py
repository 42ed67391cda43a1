"""Processes that do, and measure, what each line of their standard input asks: see `worker.Worker`."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from benchmarks.worker import Costs, Worker

type Task = Callable[..., Awaitable[Costs]]


@contextmanager
def child(module: str, *arguments: str) -> Iterator[Worker]:
    """Run ``python -m module`` until the block ends."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Worker(process)


async def serve(tasks: Mapping[str, Task]) -> None:
    """Answer from now on; what was to be warmed is warm."""
    print("{}", flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(await tasks[name](*arguments)), flush=True)
