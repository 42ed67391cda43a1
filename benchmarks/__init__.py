"""Measurements against goals: ``make bench``, or ``python -m benchmarks [NAME …]`` for some of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number, with the goal it is held against."""

    what: str
    measured: str
    goal: str = ""
    reached: bool | None = None
