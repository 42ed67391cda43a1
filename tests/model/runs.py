"""Runs of Hypothesis, and what they found."""

import logging
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from zlib import crc32

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Finding, LedgerPrograms, Programs
from tests.model.people import ROW_CLASSES
from tests.model.world import world

CHUNK = 250
"""Programs of one run of Hypothesis, which remembers them all."""


@dataclass
class Result:
    """Of one run or several.

    Attributes:
        programs: How many were run, with those that made a finding smaller.
        seconds: How long it took.
        findings: By its name, the smallest program of each and what was wrong.
        steps: How often each step was taken, and how often refused.
    """

    programs: int = 0
    seconds: float = 0.0
    findings: dict[str, str] = field(default_factory=dict)
    steps: Counter = field(default_factory=Counter)

    def add(self, other):
        self.programs += other.programs
        self.seconds += other.seconds
        self.findings = other.findings | self.findings
        self.steps += other.steps


def run_chunks(url, tier, sessions, seeds, steps, without):
    """In a process of its own: one run for each seed, until one has found something."""
    engine.MAX_SHRINKING_SECONDS = 60
    logging.lastResort = None  # warnings are in the findings
    total = Result()
    with world(url, tier, sessions) as place:
        for seed in seeds:
            total.add(run_programs(place, seed, CHUNK, steps, without))
            if total.findings:
                break
    return total


def run_programs(world, seed, programs, steps, without=(), *, shrink=True):
    """Run some programs in the world; the same ones for the same seed."""
    own = {"world": world, "without": frozenset(without), "taken": Counter(), "begun": Counter()}
    machine = type("Programs", (Programs if world.ledger is None else LedgerPrograms,), own)
    seeded(crc32(str(seed).encode()))(machine)
    chosen = settings(
        max_examples=programs,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        report_multiple_bugs=shrink,
    )
    begun, findings = time.monotonic(), {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of SQLAlchemy, about what programs do to objects
            run_state_machine_as_test(machine, settings=chosen)
    except (Finding, ExceptionGroup) as error:
        findings = _findings(error)
    return Result(machine.begun["programs"], time.monotonic() - begun, findings, machine.taken)


def replay(world, program):
    """Run a program as it was printed.

    Raises:
        Finding: What is wrong.
    """
    machine = type("Programs", (Programs if world.ledger is None else LedgerPrograms,), {"world": world})
    lines = [line.strip() for line in program.splitlines() if line.startswith("state.")]
    state = machine()
    try:
        for line in lines:
            if line != "state.teardown()":
                exec(line, {"state": state, **ROW_CLASSES})
    finally:
        state.teardown()


def _findings(error):
    """By the names of the errors."""
    errors = error.exceptions if isinstance(error, ExceptionGroup) else [error]
    return {type(each).__name__: "\n".join([str(each), *getattr(each, "__notes__", ())]) for each in errors}
