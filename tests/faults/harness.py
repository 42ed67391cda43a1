"""Rounds of applications and a worker that are all killed, and what is then missing or left."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from sqlalchemy.exc import OperationalError

from async_storages import FileExistsException, FileGoneException
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from tests.faults.mutants import SMALL_BATCHES
from tests.faults.operations import NOT_ON_SQLITE, ONLY_AT_STEPS, OPERATIONS
from tests.faults.places import judge, let_time_pass, wait_until_over
from tests.faults.processes import ANY, Moment, Task

WORK = ("create", "storage save", "roll back", "replace", "raw SQL delete", "drop")
"""Leaves something to do for each part of a worker."""

AT_STEPS = {
    Step.INTENT_SENT: ("create", "create several"),
    Step.END_HELD: ("create", "create several"),
    Step.INTENT_WRITTEN: ("create", "create several"),
    Step.OBJECT_WRITTEN: ("create", "create several"),
    Step.UPLOADED: ("create",),
    Step.CLAIMED: ("replace",),
    Step.DOOMED: ("replace",),
    Step.COMMITTED: ("replace",),
    Step.ROLLED_BACK: ("roll back",),
    Step.INTENTS_EXPIRED: ("roll back",),
}
"""The operations of an application that reach its steps; a worker reaches all others."""

OUTSIDE = "from outside"
TOLERATED = (FileGoneException, FileExistsException)
STOPS = (Step.INTENT_WRITTEN, Step.OBJECT_WRITTEN, Step.UPLOADED)
"""An application holds no lock there: on SQLite nobody else could write."""

STOPS_OF_A_WORKER = (Step.DELETING, Step.OBJECT_DELETED)
_STEPS_OF_A_WORKER = [step for step in Step if step not in AT_STEPS and not step.name.startswith("MARK_")]


def killed_at(place, step, mutant=None):
    """Kill one process at a step, the first time that it passes there; returns whether it was."""
    if not step.name.startswith("MARK_"):  # which come first of all
        Task(place, (WORK,)).run()
        asyncio.run(let_time_pass(place))
    lanes = (AT_STEPS[step],) if step in AT_STEPS else ()
    return Task(place, lanes, Moment(str(step)), mutant=mutant).run()


@dataclass
class Tally:
    """What rounds have come to.

    Attributes:
        kills: By moment.
        lost: Files that rows named and that were missing.
        leaked: What was left, or would be: files, rows of the ledger, entries of the journal, files it does not know.
        stops: How often a process was stopped, by moment.
    """

    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    lost: set[str] = field(default_factory=set)
    leaked: set[str] = field(default_factory=set)

    def count(self, task, name):
        """Wait until a process has ended."""
        self.kills[name] += task.end()

    def add(self, verdict):
        self.lost |= verdict.lost
        self.leaked |= verdict.leaked
        for what in ("noted", "announced", "unknown"):
            self.leaked |= {f"{each} ({what})" for each in getattr(verdict, what)}


def run_round(place, random: Random, tally: Tally):
    """Two applications and a worker at once (on SQLite, which has one writer, one after the other)."""
    first = Task(place, _lanes(place, random, 1), _moment(random, AT_STEPS))
    second = Task(place, _lanes(place, random, 3), speaks=True)
    worker = Task(place, moment=_moment(random, _STEPS_OF_A_WORKER), passes=2 if place.is_sqlite else None)
    if place.is_sqlite:
        tally.count(first.start(), first.moment.name)
        second.start().kill_after(random.randint(1, 30))
        tally.count(second, OUTSIDE)
        tally.count(worker.start(), worker.moment.name)
        return
    worker.start()
    first.start()
    second.start().kill_after(random.randint(1, 30))
    tally.count(second, OUTSIDE)
    tally.count(first, first.moment.name)
    how = worker.moment.name if worker.is_over() else OUTSIDE
    worker.kill()
    tally.count(worker, how)


def run_rounds(place, random, tally, count):
    """Rounds over one database and storage, which are judged in the end."""
    for _ in range(count):
        run_round(place, random, tally)
        asyncio.run(let_time_pass(place, random))
    tally.add(asyncio.run(judge(place, random)))


def run_stop(place, random, tally):
    """An application or a worker is stopped beyond its grace or lease, while two other workers pass, and goes on."""
    is_worker = random.random() < 0.5
    steps = STOPS_OF_A_WORKER if is_worker else STOPS
    moment = Moment(str(random.choice(steps)), random.randint(1, 3), stops=True)
    lanes = () if is_worker else _lanes(place, random, 2)[:1]
    Task(place, (WORK,), tolerated=TOLERATED).run()
    slow = Task(place, lanes, moment, mutant=SMALL_BATCHES, tolerated=TOLERATED).start()
    if slow.has_stopped():
        asyncio.run(wait_until_over(place))
        locked = (OperationalError,) if place.is_sqlite else ()  # what is stopped may have SQLite's only lock
        for _ in range(2):
            Task(place, tolerated=(*TOLERATED, *locked)).run()
        slow.wake()
        tally.stops[moment.name] += 1
    assert not slow.end()


def run_eight(place, random, tally):
    """Eight workers over one backlog, half of which are killed."""
    Task(place, (("drop",) * 6, WORK, ("roll back",) * 4), tolerated=TOLERATED).run()
    asyncio.run(let_time_pass(place, random))
    moments = [_moment(random, _STEPS_OF_A_WORKER) for _ in range(4)] + [None] * 4
    workers = [Task(place, (), moment, mutant=SMALL_BATCHES).start() for moment in moments]
    for worker in workers:
        tally.count(worker, worker.moment.name if worker.moment else OUTSIDE)


def _moment(random, steps):
    if random.random() < 0.5:
        return Moment(ANY, random.randint(1, 150))
    return Moment(str(random.choice(list(steps))), random.randint(1, 4))


def _lanes(place, random, count):
    left_out = (NOT_ON_SQLITE if place.is_sqlite else set()) | ONLY_AT_STEPS
    names = [name for name in OPERATIONS if name not in left_out]
    return tuple(tuple(random.choices(names, k=8 // count + 1)) for _ in range(count if not place.is_sqlite else 1))
