"""`make model`: run thousands of random programs, and print those after which a file is lost or left.

python -m tests.model [--programs 10000] [--seed 7] [--database sqlite] [--tier ledger] [--sessions plain]
    [--jobs 2]
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory

from async_storages.testing.mariadb import mariadb_server
from async_storages.testing.postgres import _data_parent, postgres_server
from tests.model.runs import CHUNK, run_chunks
from tests.model.world import DATABASES, MARIADB, POSTGRESQL, SESSIONS, SQLITE, TIERS, make_tables

_SERVERS = {POSTGRESQL: postgres_server, MARIADB: mariadb_server}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=2000, help="in all")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--database", choices=[*DATABASES, MARIADB], help="only this one")
    parser.add_argument("--tier", choices=TIERS, help="only this one")
    parser.add_argument("--sessions", choices=SESSIONS, help="only these")
    parser.add_argument("--steps", type=int, default=15, help="of a program, at most")
    parser.add_argument("--without", nargs="*", default=(), metavar="STEP", help="do not take these steps")
    parser.add_argument("--verbose", action="store_true", help="tell how often each step was taken, and refused")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    options = parser.parse_args()
    chosen = ((options.database, [*DATABASES, MARIADB]), (options.tier, TIERS), (options.sessions, SESSIONS))
    kinds = list(product(*([one] if one else all_ for one, all_ in chosen)))
    _say(f"seed {options.seed}")
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(_SERVERS[name]()) for name in {kind[0] for kind in kinds} & _SERVERS.keys()
        }
        folder = stack.enter_context(TemporaryDirectory(prefix="model-", dir=_data_parent()))
        pool = stack.enter_context(ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")))
        work = []
        for job in range(options.jobs):
            for kind in kinds:
                url = _url(kind[0], folder, servers, f"model_{len(work)}")
                seeds = _seeds(options, job, len(kinds))
                work.append((kind, pool.submit(run_chunks, url, *kind[1:], seeds, options.steps, options.without)))
        found = [_report(kind, each.result(), options) for kind, each in work]
    sys.exit(any(found))


def _url(database, folder, servers, name):
    if database == SQLITE:
        url = f"sqlite+aiosqlite:///{Path(folder) / name}.sqlite"
    else:
        servers[database].create_database(name)
        url = servers[database].url(name)
    make_tables(url)
    return url


def _seeds(options, job, kinds):
    """A seed for each chunk of programs."""
    chunks = max(1, round(options.programs / kinds / options.jobs / CHUNK))
    return [f"{options.seed} {job} {chunk}" for chunk in range(chunks)]


def _report(kind, result, options):
    speed = f"{result.programs} programs in {result.seconds:.0f} s"
    _say(f"\n{', '.join(kind)}: {speed}, {len(result.findings)} findings")
    for step, count in sorted(result.steps.items()) if options.verbose else ():
        _say(f"{count:8} {step}")
    for name, finding in result.findings.items():
        _say(f"\n{name} {finding}")
    return bool(result.findings)


def _say(line):
    print(line, flush=True)  # noqa: T201 - the report


if __name__ == "__main__":
    main()
