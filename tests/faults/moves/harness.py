"""Rounds of movers and an application that are killed, and what is then missing, wrong or left."""

from collections import Counter
from dataclasses import dataclass, field

from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep
from tests.faults.moves.places import judge, let_time_pass, run
from tests.faults.moves.processes import APP, BACK, FINISHER, MOVER, STOPPER, WORKER, Process
from tests.faults.processes import ANY, Moment

WORK = (*("create", "create bundle") * 3, "copy", "copy", "delete")

ROLES = {
    MoveStep.GIVEN_BACK: STOPPER,
    MoveStep.UNDOING: BACK,
    MoveStep.UNDONE: BACK,
    MoveStep.RELEASING: FINISHER,
    MoveStep.RELEASED: FINISHER,
    MoveStep.OLD_DELETED: FINISHER,
    MoveStep.FINISHED: FINISHER,
}
"""Who reaches a step; a mover all others."""


def steps_of(role):
    return [step for step in MoveStep if ROLES.get(step, MOVER) == role]


def reaches(step, place):
    """With a ledger, its worker deletes the old files."""
    return not (place.has_ledger and step is MoveStep.OLD_DELETED)


def killed_at(place, step, passage=2):
    """Kill one process at a step; returns whether it was."""
    Process(place, APP, operations=WORK).run()
    role = ROLES.get(step, MOVER)
    if role in {BACK, FINISHER}:
        Process(place, MOVER).run()
    if role == FINISHER:
        Process(place, BACK).run()  # so that there are old files which rows name
    return Process(place, role, Moment(str(step), passage if step in _OFTEN else 1)).run()


_OFTEN = {MoveStep.ANNOUNCED, MoveStep.COPIED, MoveStep.VERIFIED, MoveStep.SWAPPED}


@dataclass
class Tally:
    """What rounds have come to."""

    kills: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, verdict):
        self.problems += [f"broken: {each}" for each in sorted(verdict.broken)]
        self.problems += [f"leaked: {each}" for each in sorted(verdict.leaked)]
        self.problems += [f"not moved: {each}" for each in sorted(verdict.unmoved)]


def run_round(place, random, tally):
    """An application, two movers, and one who goes back or finishes, at once; on SQLite one after the other."""
    others = [BACK, FINISHER, *([WORKER] if place.has_ledger else [])]
    processes = [
        Process(place, APP, _moment(random, None) if place.has_ledger else None, random.randrange(10**6), count=20),
        Process(place, MOVER, _moment(random, MOVER), count=3),
        Process(place, MOVER, _moment(random, MOVER), count=2),
        *(Process(place, role, _moment(random, role), count=2) for role in random.sample(others, 2)),
    ]
    if place.is_sqlite:
        for each in processes:
            tally.kills[_name(each)] += each.run()
        return
    for each in processes:
        each.start()
    for each in processes:
        tally.kills[_name(each)] += each.end()


def run_rounds(place, random, tally, count):
    """Rounds over one database and two storages, which are judged in the end."""
    Process(place, APP, operations=WORK).run()
    for _ in range(count):
        run_round(place, random, tally)
        run(let_time_pass(place))
    tally.add(run(judge(place, random)))


def _name(process):
    return f"{process.role}, {process.moment.name if process.moment else 'not'}"


def _moment(random, role):
    steps = steps_of(role) if role else []
    if not steps or random.random() < 0.5:
        return Moment(ANY, random.randint(1, 200))
    return Moment(str(random.choice(steps)), random.randint(1, 6))
