"""`make faults`: kill processes a few hundred times, stop some beyond grace and lease, and print what was lost or left.

python -m tests.faults [--kills 200] [--seed 7] [--only MariaDB]
"""

import asyncio
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, reduce
from operator import add
from random import Random
from tempfile import TemporaryDirectory

from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from async_storages.testing.mariadb import mariadb_server
from async_storages.testing.postgres import postgres_server
from async_storages.testing.seaweedfs import seaweedfs_server
from tests.faults.arguments import parsed
from tests.faults.conftest import s3_options
from tests.faults.harness import Tally, killed_at, run_eight, run_rounds, run_stop
from tests.faults.places import Place, judge, prepare

_ROUNDS = 4
_SECONDS = 1.0
"""The grace and the lease of those that are stopped for longer."""


def main():
    options, kinds = parsed("python -m tests.faults", __doc__, KINDS)
    _say(f"seed {options.seed}")
    _say(f"{'':<32}{'kills':>6}{'stops':>6}{'lost':>6}{'leaked':>8}{'seconds':>10}")
    with ExitStack() as stack:
        sites = _Sites(stack)
        tallies = [_run(sites, name, Random(f"{options.seed} {name}"), options.kills // len(kinds)) for name in kinds]
    _say_steps(reduce(add, (tally.kills for tally in tallies), Counter()))
    sys.exit(any(tally.lost or tally.leaked for tally in tallies))


KINDS = {
    "PostgreSQL, asyncpg, local": {},
    "PostgreSQL, psycopg, local": {"driver": "psycopg"},
    "PostgreSQL, asyncpg, S3": {"storage": "s3"},
    "PostgreSQL, REPEATABLE READ, S3": {"storage": "s3", "isolation": "REPEATABLE READ"},
    "SQLite, local": {"driver": "sqlite"},
    "MariaDB, asyncmy, local": {"driver": "asyncmy"},
    "MariaDB, aiomysql, S3": {"driver": "aiomysql", "storage": "s3"},
    "MariaDB, READ COMMITTED, local": {"driver": "asyncmy", "isolation": "READ COMMITTED"},
}


class _Sites:
    """Makes places, each with an empty database and storage."""

    def __init__(self, stack):
        self._folder = stack.enter_context(TemporaryDirectory(prefix="faults-"))
        self._stack = stack
        self._count = 0

    @cached_property
    def _postgres(self):
        return self._stack.enter_context(postgres_server())

    @cached_property
    def _mariadb(self):
        return self._stack.enter_context(mariadb_server())

    @cached_property
    def _s3(self):
        return self._stack.enter_context(seaweedfs_server())

    def make(self, *, driver="asyncpg", storage="local", isolation=None):
        self._count += 1
        name = f"faults-{self._count}"
        place = Place(self._database(name, driver), self._storage(name, storage))
        asyncio.run(prepare(place))
        return replace(place, isolation=isolation)

    def _database(self, name, driver):
        if driver == "sqlite":
            return f"sqlite+aiosqlite:///{self._folder}/{name}.sqlite"
        if driver in {"asyncmy", "aiomysql"}:
            self._mariadb.create_database(name)
            return self._mariadb.url(name, driver)
        self._postgres.create_database(name)
        return self._postgres.url(name).replace("asyncpg", driver)

    def _storage(self, name, storage):
        if storage == "local":
            return f"{self._folder}/{name}"
        self._s3.create_bucket(name)
        return s3_options(self._s3, name)


def _run(sites, name, random, kills):
    """One at each step, then rounds at random moments, until there are enough."""
    tally, begun = Tally(), time.monotonic()
    for step in Step:
        place = sites.make(**KINDS[name])
        tally.kills[str(step)] += killed_at(place, step)
        tally.add(asyncio.run(judge(place)))
    enough = tally.kills.total() + kills
    place = sites.make(**KINDS[name])
    while tally.kills.total() < enough:
        run_rounds(place, random, tally, _ROUNDS)
    brief = replace(sites.make(**KINDS[name]), seconds=_SECONDS)
    for _ in range(max(_ROUNDS, kills // _ROUNDS)):
        run_stop(brief, random, tally)
    tally.add(asyncio.run(judge(replace(brief, seconds=None), random)))  # whose worker has the time it needs
    if not place.is_sqlite:
        run_eight(place, random, tally)
        tally.add(asyncio.run(judge(place, random)))
    seconds = time.monotonic() - begun
    _say(
        f"{name:<32}{tally.kills.total():6}{tally.stops.total():6}{len(tally.lost):6}{len(tally.leaked):8}{seconds:10.1f}"
    )
    for file in sorted(tally.lost | tally.leaked):
        _say(f"  {file}")
    return tally


def _say_steps(kills):
    _say(f"\n{'killed':<32}{'times':>6}")
    for name, count in kills.most_common():
        _say(f"{name:<32}{count:6}")
    _say(f"{'in all':<32}{kills.total():6}")


def _say(line):
    print(line, flush=True)  # noqa: T201 - the report


if __name__ == "__main__":
    main()
