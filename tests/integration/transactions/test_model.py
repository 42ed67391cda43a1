"""Random programs of sessions lose no file and leave none; `python -m tests.model` runs thousands of them."""

from pathlib import Path

import pytest

from async_storages.integrations.sqlalchemy import endings, flush, holds
from async_storages.integrations.sqlalchemy.ledger import entries
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.references import Answer
from tests.model.machine import Programs
from tests.model.runs import replay, run_programs
from tests.model.world import DATABASES, LEDGER, TIERS, TRACKING, make_tables, world

SEED = 7
STEPS = 12


@pytest.fixture
def model_url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_database")
    url = f"sqlite+aiosqlite:///{tmp_path / 'model.sqlite'}"
    make_tables(url)
    return url


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("model_url", DATABASES, indirect=True)
def test_nothing_is_lost_or_left(model_url, tier):
    with world(model_url, tier) as place:
        result = run_programs(place, SEED, 40, STEPS)
    assert not result.findings, "\n\n".join(result.findings.values())
    assert result.programs >= 40
