"""Random programs of plain Sessions lose no file and leave none; `python -m tests.model --sessions plain` runs more."""

import pytest

from tests.integration.transactions.test_model import FOUND, MEETINGS, PROGRAMS, SEED, STEPS
from tests.model.machine import Lost
from tests.model.runs import replay, run_programs
from tests.model.world import MARIADB, PLAIN, POSTGRESQL, SQLITE, TIERS, make_tables, world


@pytest.fixture
def model_url(request, tmp_path):
    if request.param != SQLITE:
        return request.getfixturevalue({POSTGRESQL: "postgres_database", MARIADB: "mariadb_database"}[request.param])
    url = f"sqlite+aiosqlite:///{tmp_path / 'model.sqlite'}"
    make_tables(url)
    return url


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("model_url", [SQLITE, POSTGRESQL, MARIADB], indirect=True)
def test_nothing_is_lost_or_left(model_url, tier):
    with world(model_url, tier, PLAIN) as place:
        result = run_programs(place, SEED, PROGRAMS, STEPS)
    assert not result.findings, "\n\n".join(result.findings.values())
    assert result.programs >= PROGRAMS


@pytest.mark.parametrize(("tier", "mutant", "found"), FOUND, ids=[each[1].__name__ for each in FOUND])
@pytest.mark.parametrize("model_url", ["sqlite"], indirect=True)
def test_found(model_url, monkeypatch, tier, mutant, found):
    mutant(monkeypatch)
    with world(model_url, tier, PLAIN) as place:
        result = run_programs(place, SEED, 200, STEPS, shrink=False)
    assert found in result.findings


@pytest.mark.parametrize("tier", MEETINGS)
@pytest.mark.parametrize("model_url", ["postgresql"], indirect=True)
def test_sessions_that_meet(model_url, monkeypatch, tier):
    mutant, program = MEETINGS[tier]
    with world(model_url, tier, PLAIN) as place:
        replay(place, program)
        mutant(monkeypatch)
        with pytest.raises(Lost):
            replay(place, program)
