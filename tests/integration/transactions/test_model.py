"""Random programs of sessions lose no file and leave none; `python -m tests.model` runs thousands of them."""

from asyncio import sleep

import pytest

from async_storages.integrations.sqlalchemy import endings, flush, holds
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.references import Answer
from tests.model.runs import run_programs
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


# ---- code with something wrong


def nothing_is_asked(monkeypatch):
    monkeypatch.setattr(endings, "ask", lambda connection, locations, files: Answer(transactions=[(connection, None)]))


def uncommitted_rows_are_forgotten(monkeypatch):
    monkeypatch.setattr(holds, "hold", lambda file: None)
    monkeypatch.setattr(holds, "release", lambda files: [])


def ids_are_not_looked_for(monkeypatch):
    monkeypatch.setattr(flush, "check_there", list)
    monkeypatch.setattr(flush, "check_stored", list)


def new_files_are_forgotten(monkeypatch):
    monkeypatch.setattr(endings, "remove", lambda files, **options: sleep(0))


def no_claims(monkeypatch):
    monkeypatch.setattr(Claims, "claim", lambda self, connection, files: {})


def no_second_look(monkeypatch):
    monkeypatch.setattr(References, "named", lambda self, connection, ids: set())


MUTANTS = [
    ("sqlite", TRACKING, nothing_is_asked, "Lost"),
    ("postgresql", TRACKING, uncommitted_rows_are_forgotten, "Lost"),
    ("sqlite", TRACKING, ids_are_not_looked_for, "Lost"),
    ("sqlite", TRACKING, new_files_are_forgotten, "Leaked"),
    ("postgresql", LEDGER, no_claims, "Lost"),
    ("sqlite", LEDGER, no_second_look, "Lost"),
]


@pytest.mark.parametrize(
    ("model_url", "tier", "mutant", "found"), MUTANTS, ids=[each[2].__name__ for each in MUTANTS], indirect=["model_url"]
)
def test_noticed(model_url, monkeypatch, tier, mutant, found):
    mutant(monkeypatch)
    with world(model_url, tier) as place:
        result = run_programs(place, SEED, 200, STEPS, shrink=False)
    assert list(result.findings) == [found]
