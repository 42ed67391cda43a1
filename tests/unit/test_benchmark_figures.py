"""Figures of benchmarks: ratios to peers, goals, and how numbers look."""

import pytest

from benchmarks import Figure, Goal, shown

COST = Figure("put", "ms", 2.0, {"slow": 8.0, "fast": 1.0})
SPEED = Figure("put", "files per second", 200.0, {"slow": 50.0, "fast": 400.0}, is_more_better=True)


@pytest.mark.parametrize("figure", [COST, SPEED], ids=["cost", "speed"])
def test_the_ratio_says_how_many_times_better_ours_is(figure):
    assert figure.best_peer == "fast"
    assert figure.ratio == 0.5
    assert figure.ratio_to("slow") == 4


@pytest.mark.parametrize("figure", [Figure("a"), Figure("a", "ms", 1.0), Figure("a", "MB", 0.0, {"peer": 3.0})])
def test_without_two_numbers_there_is_no_ratio(figure):
    assert figure.ratio is None


GOALS = {
    "a cost": (Figure("a", "ms", 3.0), Goal(3.0), True),
    "a higher cost": (Figure("a", "ms", 3.1), Goal(3.0), False),
    "a speed": (Figure("a", "per second", 3.0, is_more_better=True), Goal(3.0), True),
    "a lower speed": (Figure("a", "per second", 2.9, is_more_better=True), Goal(3.0), False),
    "a ratio": (COST, Goal(4.0, "slow"), True),
    "a lower ratio": (COST, Goal(1.0, "fast"), False),
    "a peer that was left out": (COST, Goal(1.0, "absent"), None),
    "nothing measured": (Figure("a"), Goal(1.0), None),
}


@pytest.mark.parametrize(("figure", "goal", "expected"), GOALS.values(), ids=GOALS.keys())
def test_a_goal_is_reached_or_missed(figure, goal, expected):
    assert figure.reaches(goal) is expected


def test_only_goals_that_were_measured_can_be_missed():
    goals = (Goal(4.0, "slow"), Goal(1.0, "fast"), Goal(1.0, "absent"))
    assert Figure("put", "ms", 2.0, COST.peers, goals).missed == [Goal(1.0, "fast")]


def test_goals_as_text():
    assert COST.shown(Goal(5.0, "slow")) == "≥ 5 × slow"
    assert COST.shown(Goal(40.0)) == "≤ 40 ms"
    assert COST.shown(Goal(0.0)) == "0 ms"
    assert SPEED.shown(Goal(40.0)) == "≥ 40 files per second"


NUMBERS = [(0, "0"), (0.0312, "0.031"), (0.6, "0.6"), (0.907, "0.91"), (3.0, "3"), (38.27, "38.3"), (65_536, "65,536")]


@pytest.mark.parametrize(("number", "text"), NUMBERS)
def test_numbers_are_short(number, text):
    assert shown(number) == text
