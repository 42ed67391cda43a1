"""Random programs of plain Sessions lose no file and leave none; `python -m tests.model --sessions plain` runs more."""

import pytest

from tests.integration.transactions.test_model import FOUND, MEETINGS, PROGRAMS, SEED, STEPS, model_url  # noqa: F401
from tests.model.machine import Lost
from tests.model.runs import replay, run_programs
from tests.model.world import DATABASES, PLAIN, TIERS, world


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("model_url", DATABASES, indirect=True)
def test_nothing_is_lost_or_left(model_url, tier):  # noqa: F811 - the fixture
    with world(model_url, tier, PLAIN) as place:
        result = run_programs(place, SEED, PROGRAMS, STEPS)
    assert not result.findings, "\n\n".join(result.findings.values())
    assert result.programs >= PROGRAMS


@pytest.mark.parametrize(("tier", "mutant", "found"), FOUND, ids=[each[1].__name__ for each in FOUND])
@pytest.mark.parametrize("model_url", ["sqlite"], indirect=True)
def test_found(model_url, monkeypatch, tier, mutant, found):  # noqa: F811
    mutant(monkeypatch)
    with world(model_url, tier, PLAIN) as place:
        result = run_programs(place, SEED, 200, STEPS, shrink=False)
    assert found in result.findings


@pytest.mark.parametrize("tier", MEETINGS)
@pytest.mark.parametrize("model_url", ["postgresql"], indirect=True)
def test_sessions_that_meet(model_url, monkeypatch, tier):  # noqa: F811
    mutant, program = MEETINGS[tier]
    with world(model_url, tier, PLAIN) as place:
        replay(place, program)
        mutant(monkeypatch)
        with pytest.raises(Lost):
            replay(place, program)
