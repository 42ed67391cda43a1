"""Random programs of sessions lose no file and leave none; `python -m tests.model` runs thousands of them."""

from asyncio import sleep

import pytest

from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.references.lookup import LookupResult
from async_storages.integrations.sqlalchemy.tracking import (
    files_in_use,
    flush,
    reference_writer,
    removal_after_transaction,
)
from tests.model.machine import Lost
from tests.model.runs import replay, run_programs
from tests.model.world import DATABASES, LEDGER, MARIADB, POSTGRESQL, SQLITE, TIERS, TRACKING, make_tables, world

SEED = 7
PROGRAMS = 20
STEPS = 12


@pytest.fixture
def model_url(request, tmp_path):
    if request.param != SQLITE:
        return request.getfixturevalue({POSTGRESQL: "postgres_database", MARIADB: "mariadb_database"}[request.param])
    url = f"sqlite+aiosqlite:///{tmp_path / 'model.sqlite'}"
    make_tables(url)
    return url


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("model_url", [*DATABASES, MARIADB], indirect=True)
def test_nothing_is_lost_or_left(model_url, tier):
    with world(model_url, tier) as place:
        result = run_programs(place, SEED, PROGRAMS, STEPS)
    assert not result.findings, "\n\n".join(result.findings.values())
    assert result.programs >= PROGRAMS


# ---- code with something wrong, which patches put in: the model has to notice each


def nothing_is_asked(monkeypatch):
    monkeypatch.setattr(
        removal_after_transaction,
        "look_up_files",
        lambda connection, locations, files: LookupResult(engines=[connection.engine]),
    )


def uncommitted_rows_are_forgotten(monkeypatch):
    monkeypatch.setattr(files_in_use, "hold", lambda file: None)
    monkeypatch.setattr(files_in_use, "release", lambda files: [])


def ids_are_not_looked_for(monkeypatch):
    monkeypatch.setattr(flush, "require_available", list)
    monkeypatch.setattr(reference_writer, "require_existing", list)


def new_files_are_forgotten(monkeypatch):
    monkeypatch.setattr(removal_after_transaction, "remove_files", lambda files, **options: sleep(0))


def no_claims(monkeypatch):
    monkeypatch.setattr(Claims, "claim", lambda self, connection, files, announced: {})


def no_second_look(monkeypatch):
    monkeypatch.setattr(References, "find_named", lambda self, connection, ids: set())


FOUND = [
    (TRACKING, nothing_is_asked, "Lost"),
    (TRACKING, ids_are_not_looked_for, "Lost"),
    (TRACKING, new_files_are_forgotten, "Leaked"),
    (LEDGER, no_second_look, "Lost"),
]


@pytest.mark.parametrize(("tier", "mutant", "found"), FOUND, ids=[each[1].__name__ for each in FOUND])
@pytest.mark.parametrize("model_url", ["sqlite"], indirect=True)
def test_found(model_url, monkeypatch, tier, mutant, found):
    mutant(monkeypatch)
    with world(model_url, tier) as place:
        result = run_programs(place, SEED, 200, STEPS, shrink=False)
    assert found in result.findings


# Of two sessions one names the file whose last row the other deletes: a random program in some hundred does that.
MEETING = """
state.put(place=Book[1].file, value='saved', then='commit', who=0)
state.copy(source=Book[1].file, to=Book[2].file, then='flush', who=1)
state.put(place=Book[1].file, value=None, then='commit', who=0)
{between}
state.end(what='commit', who=1)
"""
MEETINGS = {
    TRACKING: (uncommitted_rows_are_forgotten, MEETING.format(between="")),
    LEDGER: (no_claims, MEETING.format(between="state.work(what='drain', who=2)")),
}


@pytest.mark.parametrize("tier", MEETINGS)
@pytest.mark.parametrize("model_url", ["postgresql"], indirect=True)
def test_sessions_that_meet(model_url, monkeypatch, tier):
    mutant, program = MEETINGS[tier]
    with world(model_url, tier) as place:
        replay(place, program)
        mutant(monkeypatch)
        with pytest.raises(Lost):
            replay(place, program)
