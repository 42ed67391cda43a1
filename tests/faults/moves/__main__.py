"""`python -m tests.faults.moves`: kill movers and applications while files are moved, and print what was lost or left.

python -m tests.faults.moves [--kills 200] [--seed 7] [--only MariaDB]
"""

import asyncio
import sys
import time
from collections import Counter
from contextlib import ExitStack
from functools import reduce
from operator import add
from random import Random
from tempfile import TemporaryDirectory

from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep
from async_storages.testing.fastdfs_server import fastdfs_process
from async_storages.testing.mariadb import mariadb_server
from async_storages.testing.postgres import postgres_server
from async_storages.testing.seaweedfs import seaweedfs_server
from tests.faults.arguments import parsed
from tests.faults.conftest import s3_options
from tests.faults.moves.harness import Tally, killed_at, reaches, run_rounds
from tests.faults.moves.places import Place, judge, prepare

_ROUNDS = 3

KINDS = {
    "PostgreSQL, ledger, folders": {},
    "PostgreSQL, tracking, folders": {"has_ledger": False},
    "PostgreSQL, ledger, FastDFS to S3": {"is_far": True},
    "PostgreSQL, new files in the target": {"fills_source": False},
    "SQLite, ledger, folders": {"database": "sqlite"},
    "MariaDB, ledger, folders": {"database": "mariadb"},
    "MariaDB, tracking, folders": {"database": "mariadb", "has_ledger": False},
}


def main():
    options, kinds = parsed("python -m tests.faults.moves", __doc__, KINDS)
    _say(f"seed {options.seed}")
    _say(f"{'':<40}{'kills':>6}{'problems':>10}{'seconds':>10}")
    with ExitStack() as stack:
        sites = _Sites(stack)
        tallies = [_run(sites, name, Random(f"{options.seed} {name}"), options.kills // len(kinds)) for name in kinds]
    kills = reduce(add, (tally.kills for tally in tallies), Counter())
    for name, count in kills.most_common():
        _say(f"{name:<40}{count:6}")
    _say(f"{'in all':<40}{kills.total():6}")
    sys.exit(any(tally.problems for tally in tallies))


class _Sites:
    """Makes places, each with an empty database and storages of its own."""

    def __init__(self, stack):
        self._folder = stack.enter_context(TemporaryDirectory(prefix="moves-"))
        self._stack = stack
        self._servers = {}
        self._count = 0

    def _server(self, start):
        if start not in self._servers:
            self._servers[start] = self._stack.enter_context(start())
        return self._servers[start]

    def make(self, *, database="postgresql", has_ledger=True, is_far=False, fills_source=True):
        self._count += 1
        name = f"moves{self._count}"
        source, target = f"{self._folder}/{name}#old", f"{self._folder}/{name}#new"
        if is_far:
            source = self._server(fastdfs_process).tracker
            server = self._server(seaweedfs_server)
            server.create_bucket(name)
            target = s3_options(server, name)
        place = Place(self._database(database, name), source, target, has_ledger, fills_source)
        asyncio.run(prepare(place))
        return place

    def _database(self, kind, name):
        if kind == "sqlite":
            return f"sqlite+aiosqlite:///{self._folder}/{name}.sqlite"
        server = self._server(postgres_server if kind == "postgresql" else mariadb_server)
        server.create_database(name)
        return server.url(name)


def _run(sites, name, random, kills):
    """One at each step, then rounds at random moments, until there are enough."""
    tally, begun = Tally(), time.monotonic()
    for step in MoveStep:
        place = sites.make(**KINDS[name])
        if reaches(step, place):
            tally.kills[str(step)] += killed_at(place, step)
            tally.add(asyncio.run(judge(place)))
    enough = tally.kills.total() + kills
    while tally.kills.total() < enough:
        run_rounds(sites.make(**KINDS[name]), random, tally, _ROUNDS)
    seconds = time.monotonic() - begun
    _say(f"{name:<40}{tally.kills.total():6}{len(tally.problems):10}{seconds:10.1f}")
    for problem in tally.problems:
        _say(f"  {problem}")
    return tally


def _say(line):
    print(line, flush=True)  # noqa: T201 - the report


if __name__ == "__main__":
    main()
