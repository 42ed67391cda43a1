"""What verdicts mean."""

from async_storages.scanning.verdicts import Clean, Infected, Unscanned


def test_only_what_is_clean_is_true():
    verdicts = [Clean(), Infected("Eicar"), Unscanned("no scanner")]
    assert [bool(verdict) for verdict in verdicts] == [True, False, False]
    assert [verdict.is_clean for verdict in verdicts] == [True, False, False]
    assert [*map(str, verdicts)] == ["clean", "infected: Eicar", "unscanned: no scanner"]
