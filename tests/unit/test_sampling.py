"""The sample of a large matrix: each test has a case in it, and each case has its turn with some seed."""

from types import SimpleNamespace

from tests.support.sampling import PART, sampled

CASES = 200


def item(test, case, *, is_matrix=True):
    return SimpleNamespace(nodeid=f"test_file.py::{test}[{case}]", get_closest_marker=lambda _: is_matrix or None)


def test_each_test_has_a_case():
    items = [item(test, case) for test in ("test_one", "test_two") for case in range(CASES)]
    kept, left = sampled(items, "0")
    assert {each.nodeid for each in items} == {each.nodeid for each in (*kept, *left)}
    assert {items[0].nodeid, items[CASES].nodeid} <= {each.nodeid for each in kept}
    assert 0 < len(kept) < 4 * PART * len(items)


def test_each_case_has_its_turn():
    items = [item("test_one", case) for case in range(20)]
    kept = {each.nodeid for seed in range(200) for each in sampled(items, seed)[0]}
    assert kept == {each.nodeid for each in items}


def test_the_classes_of_a_contract_are_cases():
    marker = SimpleNamespace(args=("classes",))
    classes = [f"TestServer{number}" for number in range(CASES)]
    items = [
        SimpleNamespace(nodeid=f"test_file.py::{each}::test_one", get_closest_marker=lambda _: marker)
        for each in classes
    ]
    kept, left = sampled(items, "0")
    assert kept[0] is items[0]
    assert 0 < len(kept) < 2 * PART * CASES
    assert len(kept) + len(left) == CASES


def test_all_others_run():
    items = [item("test_one", case, is_matrix=False) for case in range(CASES)]
    assert sampled(items, "0") == (items, [])
